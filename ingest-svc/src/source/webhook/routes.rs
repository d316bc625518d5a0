//! The port as hyper sees it: which endpoint a request is for. Paths are looked up by matchit, which axum's router is made of; that
//! router boxes every request three times, which costs as much as to map a record.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::str::Utf8Error;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::Service;
use matchit::Router;
use percent_encoding::percent_decode_str;

use super::endpoint::Endpoint;
use super::{Webhook, answer, callback, nothing_here, uploads};
use crate::imports::callback::Path;

/// The endpoints at their paths, with and without a slash at the end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Routes(Arc<Shared>);

struct Shared {
    webhook: Webhook,
    endpoints: Router<Endpoint>,
}

/// The names in a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names<'a> {
    pub(super) account: Option<Cow<'a, str>>,
    pub(super) stream: Cow<'a, str>,
}

impl Routes {
    pub(crate) fn new(webhook: Webhook) -> Self {
        let endpoints = endpoints();
        Self(Arc::new(Shared { webhook, endpoints }))
    }
}

fn endpoints() -> Router<Endpoint> {
    let mut endpoints = Router::new();
    for endpoint in Endpoint::ALL {
        let route = endpoint.route();
        for route in [route.to_owned(), format!("{route}/")] {
            let inserted = endpoints.insert(route, endpoint);
            inserted.expect("the routes are constants that differ");
        }
    }
    endpoints
}

/// The endpoint of a path, and the names in it, if these are UTF-8.
fn find<'a>(endpoints: &Router<Endpoint>, path: &'a str) -> Option<(Endpoint, Result<Names<'a>, Utf8Error>)> {
    let found = endpoints.at(path).ok()?;
    let decoded = |name: &str| {
        found
            .params
            .get(name)
            .map(|part| percent_decode_str(part).decode_utf8())
    };
    let names = || {
        Ok(Names {
            account: decoded("account").transpose()?,
            stream: decoded("stream").transpose()?.unwrap_or_default(),
        })
    };
    Some((*found.value, names()))
}

impl Service<hyper::Request<Incoming>> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let Shared { webhook, endpoints } = &*shared;
            let (parts, body) = request.into_parts();
            let body = Body::new(body);
            Ok(match find(endpoints, parts.uri.path()) {
                Some((endpoint, names)) => answer(endpoint, webhook, names, &parts, body).await,
                // These are not in the table of endpoints: who looks there for a webhook's path would have to pass them.
                None => match (uploads::find(parts.uri.path()), Path::parse(parts.uri.path())) {
                    (Some(place), _) => uploads::answer(webhook, place, parts, body).await,
                    (None, Some(path)) => callback::answer(webhook, path, &parts, body).await,
                    (None, None) => nothing_here(webhook, &parts.headers, body),
                },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(Endpoint, Option<String>, String)> {
        let endpoints = endpoints();
        let (endpoint, names) = find(&endpoints, path)?;
        let names = names.unwrap();
        Some((endpoint, names.account.map(Cow::into_owned), names.stream.into_owned()))
    }

    #[test]
    fn a_path_names_an_endpoint_and_what_stands_in_it_is_decoded() {
        let collector = |account: &str, stream: &str| Some((Endpoint::Collector, Some(account.into()), stream.into()));
        assert_eq!(found("/c/1234/braze_users"), collector("1234", "braze_users"));
        assert_eq!(found("/c/1234/a%20b%2Fc/"), collector("1234", "a b/c"));
        assert_eq!(found("/collect/json/s"), Some((Endpoint::Json, None, "s".into())));
        assert_eq!(found("/collect/bulk/s/"), Some((Endpoint::Bulk, None, "s".into())));
    }

    #[test]
    fn other_paths_are_nothing_and_bytes_that_are_no_utf8_are_said_to_be_wrong() {
        for path in ["/", "/c/1234", "/c/1234/", "/c/1/s/more", "/collect/other/s", "/C/1/s"] {
            assert_eq!(found(path), None, "{path}");
        }
        let endpoints = endpoints();
        let (_, names) = find(&endpoints, "/c/1234/%ff").unwrap();
        assert!(names.is_err());
    }
}
