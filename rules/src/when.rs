//! Conditions without an action, for others who speak of requests.

use crate::{
    condition::Condition, limits::MAX_CONDITIONS, parse, problem::Problem, request::Request,
    words::Words,
};

/// What a request has to be like, in all of it.
#[derive(Clone, Debug)]
pub struct When(Vec<Condition>);

impl When {
    /// `CONDITION [and CONDITION]…` up to the end of the line.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(words: &mut Words) -> Result<Self, Problem> {
        let mut all = vec![parse::condition(words)?];
        while words.peek().is_some() {
            words.keyword(&["and"])?;
            if all.len() == MAX_CONDITIONS {
                let what = format!("at most {MAX_CONDITIONS} conditions");
                return Err(Problem::at(words.column(), what));
            }
            all.push(parse::condition(words)?);
        }
        Ok(Self(all))
    }

    /// The request is like that.
    pub fn holds(&self, request: &impl Request) -> bool {
        self.0.iter().all(|condition| condition.holds(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sent;

    fn when(text: &str) -> Result<When, Problem> {
        When::parse(&mut Words::of(text)?)
    }

    #[test]
    fn all_have_to_hold() {
        let both = when("path ^= /a and not method POST").expect("conditions");
        assert!(both.holds(&Sent::to("/a/b")));
        assert!(!both.holds(&Sent::to("/b")));
        let mut sent = Sent::to("/a");
        sent.method = "POST".into();
        assert!(!both.holds(&sent));
    }

    #[test]
    fn what_is_no_condition() {
        let many = ["method GET"; MAX_CONDITIONS + 1].join(" and ");
        for text in [
            "",
            "path = /a then deny",
            "path = /a and",
            "moon full",
            &many,
        ] {
            assert!(when(text).is_err(), "{text}");
        }
    }
}
