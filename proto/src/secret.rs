//! Messages with passwords in them, as logs may have them.

use std::fmt;

use crate::v1::{Authenticate, ShownHeader};

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, app, .. } = self;
        let mut shown = f.debug_struct("Authenticate");
        shown.field("number", number).field("app", app);
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for ShownHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ShownHeader");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        let asked = Authenticate {
            number: 7,
            app: "shop".into(),
            credential: b"secret".into(),
            client: Vec::new(),
            request: Some(crate::v1::ShownRequest {
                headers: vec![ShownHeader {
                    name: "cookie".into(),
                    value: b"secret".into(),
                }],
                ..Default::default()
            }),
        };
        let bytes = format!("{:?}", b"secret");
        let bytes = bytes.trim_matches(['[', ']']);
        for shown in [format!("{asked:?}"), format!("{:?}", asked.request)] {
            assert!(
                !shown.contains("secret") && !shown.contains(bytes),
                "{shown}"
            );
        }
        assert!(format!("{asked:?}").contains("shop"));
    }
}
