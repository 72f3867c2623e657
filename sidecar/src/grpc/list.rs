//! A page of apps.

use dynomesh_proto::v1::{ListAppsRequest, ListAppsResponse};
use prost::Message as _;
use tonic::Status;

use crate::{convert, driver::Driver};

const DEFAULT_PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1_000;
/// A page is complete with this many bytes. The largest app has about five
/// million more, so it fits into a message in any case.
const PAGE_BYTES: usize = 2 << 20;

pub(super) async fn list(
    driver: &Driver,
    request: ListAppsRequest,
) -> Result<ListAppsResponse, Status> {
    let most = match request.page_size {
        0 => DEFAULT_PAGE,
        size @ 1..=LONGEST_PAGE => size,
        size => {
            return Err(Status::invalid_argument(format!(
                "page_size is {size}; it may be 1 to {LONGEST_PAGE}"
            )));
        }
    } as usize;
    let mut after = (!request.page.is_empty()).then(|| request.page.into_boxed_str());
    let mut apps = Vec::new();
    let mut bytes = 0;
    loop {
        let left = most - apps.len();
        let step = driver.scan(&request.prefix, after.as_deref(), left, request.busy_only);
        let mut views = step.apps.iter();
        for view in &mut views {
            let app = convert::app_in_list(view);
            bytes += app.encoded_len();
            apps.push(app);
            if bytes >= PAGE_BYTES {
                let all = views.as_slice().is_empty() && step.next.is_none();
                let next_page = if all { "" } else { &view.spec.name };
                return Ok(ListAppsResponse {
                    apps,
                    next_page: next_page.into(),
                });
            }
        }
        match step.next {
            Some(next) if apps.len() < most => after = Some(next),
            next => {
                let next_page = next.map(Into::into).unwrap_or_default();
                return Ok(ListAppsResponse { apps, next_page });
            }
        }
        // Other callers have their turn between the steps.
        tokio::task::yield_now().await;
    }
}
