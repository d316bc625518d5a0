use std::convert::Infallible;

use http::HeaderValue;
use tower::{ServiceExt, service_fn};

use super::*;

const DEADLINE_MAX: Duration = Duration::from_secs(60);

/// How long a call that never answers is kept, and the code it ends with.
async fn unanswered(grpc_timeout: Option<&'static str>) -> (Duration, Code) {
    let never = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let mut request = Request::post("/demo.Demo/Wait").body(Body::empty()).unwrap();
    if let Some(text) = grpc_timeout {
        request
            .headers_mut()
            .insert("grpc-timeout", HeaderValue::from_static(text));
    }
    let began = Instant::now();
    let response = CallLayer::new(&["demo.Demo"], DEADLINE_MAX, TaskTracker::new())
        .layer(never)
        .oneshot(request)
        .await
        .unwrap();
    (
        began.elapsed(),
        Status::from_header_map(response.headers()).unwrap().code(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_the_callers_deadline() {
    let (waited, code) = unanswered(Some("2S")).await;
    assert_eq!(code, Code::DeadlineExceeded);
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(3),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_our_deadline_when_the_caller_has_none_or_a_longer_one() {
    for grpc_timeout in [None, Some("2H")] {
        let (waited, code) = unanswered(grpc_timeout).await;
        assert_eq!(code, Code::DeadlineExceeded);
        assert!(
            waited >= DEADLINE_MAX && waited < DEADLINE_MAX + Duration::from_secs(1),
            "{waited:?}"
        );
    }
}

#[tokio::test]
async fn a_panic_in_a_call_is_an_internal_error_of_that_call() {
    let fragile = service_fn(async |_: Request<Body>| -> Result<Response<Body>, Infallible> { panic!("boom") });
    let request = Request::post("/demo.Demo/Wait").body(Body::empty()).unwrap();
    let response = CallLayer::new(&["demo.Demo"], DEADLINE_MAX, TaskTracker::new())
        .layer(fragile)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(
        Status::from_header_map(response.headers()).unwrap().code(),
        Code::Internal
    );
}
