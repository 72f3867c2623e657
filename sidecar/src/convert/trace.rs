//! Traces: what routers are told, and what they tell.

use dynomesh_proto::v1::{self, sidecar_message};

use crate::driver::TraceOrder;

/// Requests in a message.
const MOST: usize = 64;

/// A request that is in a trace. Only what is made of it knows what is in it.
#[derive(Clone, Debug)]
pub struct TracedRequest {
    pub(super) traced: v1::TracedRequest,
    pub(super) request: v1::TappedRequest,
}

/// What a router tells.
#[derive(Clone, Debug)]
pub struct Traced {
    /// Requests.
    pub requests: Vec<TracedRequest>,
    /// Those beyond the limit.
    pub limited: u64,
    /// Those that there was no room for.
    pub lost: u64,
}

/// What a router tells. Nothing depends on it, so what is odd is left out.
pub fn traced(traced: v1::Traced) -> Traced {
    let all = traced.requests.len() as u64;
    let requests = traced.requests.into_iter().take(MOST).filter_map(|mut it| {
        let request = it.request.take()?;
        is_named(&it).then_some(TracedRequest {
            traced: it,
            request,
        })
    });
    let requests: Vec<_> = requests.collect();
    let odd = all - requests.len() as u64;
    Traced {
        requests,
        limited: traced.limited,
        lost: traced.lost.saturating_add(odd),
    }
}

/// Its names are as long as they have to be, and no zeros.
fn is_named(traced: &v1::TracedRequest) -> bool {
    let good = |name: &[u8], bytes: usize| name.len() == bytes && name.iter().any(|b| *b != 0);
    let spans = [&traced.span, &traced.dyno_span];
    good(&traced.trace, 16)
        && spans.iter().all(|name| good(name, 8))
        && (traced.parent.is_empty() || good(&traced.parent, 8))
}

/// To a router: so many requests are traced.
pub fn tracing(order: TraceOrder) -> v1::SidecarMessage {
    let tracing = v1::Tracing {
        sample: order.sample,
        per_second: order.per_second,
    };
    v1::SidecarMessage {
        kind: Some(sidecar_message::Kind::Tracing(tracing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_is_left_out() {
        type Odd = fn(&mut v1::TracedRequest);
        let odd: [Odd; 7] = [
            |_| {},
            |it| it.parent = vec![7; 8],
            |it| it.request = None,
            |it| it.trace = vec![0; 16],
            |it| it.span.clear(),
            |it| it.dyno_span = vec![1; 9],
            |it| it.parent = vec![0; 8],
        ];
        let requests = odd.map(|change| {
            let mut request = v1::TracedRequest {
                request: Some(v1::TappedRequest::default()),
                trace: vec![1; 16],
                span: vec![2; 8],
                dyno_span: vec![3; 8],
                ..v1::TracedRequest::default()
            };
            change(&mut request);
            request
        });
        let traced = traced(v1::Traced {
            requests: requests.into(),
            limited: 3,
            lost: 1,
        });
        assert_eq!(
            (traced.requests.len(), traced.limited, traced.lost),
            (2, 3, 6)
        );
    }
}
