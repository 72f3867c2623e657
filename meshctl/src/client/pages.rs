//! Every app, however many there are: page by page.

use dynomesh_proto::v1::{AppStatus, ListAppsRequest};

use super::{Client, too_large};
use crate::failure::Failure;

/// Apps for each request, at first. Apps with thousands of dynos need less.
const PAGE_SIZE: u32 = 100;

/// The apps of one listing, by name.
pub(crate) struct Pages {
    client: Client,
    /// `None` after the last page.
    next: Option<ListAppsRequest>,
}

impl Pages {
    pub(super) fn new(client: Client, prefix: &str, busy_only: bool) -> Self {
        let first = ListAppsRequest {
            prefix: prefix.to_owned(),
            page_size: PAGE_SIZE,
            page: String::new(),
            busy_only,
        };
        Self {
            client,
            next: Some(first),
        }
    }

    /// The next page, until there is none.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<AppStatus>>, Failure> {
        while let Some(request) = self.next.take() {
            match self.client.page(request.clone()).await {
                Ok(response) => {
                    self.next = following(&request, response.next_page)?;
                    return Ok(Some(response.apps));
                }
                Err(failure) if too_large(&failure) && request.page_size > 1 => {
                    self.next = Some(ListAppsRequest {
                        page_size: request.page_size / 2,
                        ..request
                    });
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }
}

/// The request for the page after this one, if there is any.
fn following(request: &ListAppsRequest, page: String) -> Result<Option<ListAppsRequest>, Failure> {
    if page.is_empty() {
        return Ok(None);
    }
    // It would go on for ever.
    if page == request.page {
        return Err(Failure::Local(
            "the sidecar sent the same page twice".into(),
        ));
    }
    Ok(Some(ListAppsRequest {
        page,
        ..request.clone()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_page_name_ends_the_listing() {
        let request = ListAppsRequest::default();
        assert!(following(&request, String::new()).is_ok_and(|next| next.is_none()));
    }

    #[test]
    fn a_listing_always_moves_on() {
        let request = ListAppsRequest {
            page: "b".into(),
            page_size: 7,
            ..Default::default()
        };
        assert!(following(&request, "b".into()).is_err());
        let next = following(&request, "c".into()).ok().flatten();
        assert_eq!(
            next.map(|next| (next.page, next.page_size)),
            Some(("c".into(), 7))
        );
    }
}
