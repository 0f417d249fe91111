//! What every request passes: a number, the checks of host, origin and key, and headers that keep browsers strict.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::log::RequestLog;
use crate::state::{Access, Server};

/// The page may load nothing from elsewhere, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      media-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";
/// Routes that are answered without a key: they tell nothing of anybody's media.
const OPEN: &[&str] = &["/health", "/ready"];

/// Checks a request, answers it, and puts the headers on.
pub(crate) async fn guard(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let id = format!("req-{}", crate::ids::random());
    let log = RequestLog::new(id, request.method().as_str(), request.uri().path());
    let route = route_of(request.uri().path());
    let checked = check(&server, &request);
    request.extensions_mut().insert(log.clone());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    response = with_own_body(response);
    let status = response.status().as_u16();
    log.status(status);
    server.metrics.answered(route, status);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(HeaderName::from_static("x-request-id"), log.id());
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if let Some(origin) = origin.and_then(|origin| origin.to_str().ok().map(String::from)) {
        set(header::VARY, "Origin");
        if server.access.origins.contains(&origin) {
            set(header::ACCESS_CONTROL_ALLOW_ORIGIN, &origin);
        }
    }
    response
}

/// The refusals of the library that routes requests, in OpenAI's nesting.
fn with_own_body(response: Response) -> Response {
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    let status = response.status();
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(is_json);
    if is_ours || !(status.is_client_error() || status.is_server_error()) || status == StatusCode::RANGE_NOT_SATISFIABLE
    {
        return response;
    }
    let words = status.canonical_reason().unwrap_or("refused");
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut own = ApiError::request(status, "refused", words.to_lowercase()).into_response();
    if let Some(allow) = allow {
        own.headers_mut().insert(header::ALLOW, allow);
    }
    own
}

/// The first part of a path, where it is one of ours: names that clients make up are no labels.
fn route_of(path: &str) -> &'static str {
    const ROUTES: &[&str] = &[
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/models",
        "/v1/files",
        "/v1/plan",
        "/tokenize",
        "/health",
        "/ready",
        "/metrics",
        "/openapi.json",
        "/page",
    ];
    let is_at = |route: &&&str| path.strip_prefix(**route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if path == "/" { "/" } else { ROUTES.iter().find(is_at).copied().unwrap_or("other") }
}

fn check(server: &Server, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    check_host(&server.access, headers)?;
    check_origin(&server.access, headers)?;
    let is_open = OPEN.contains(&request.uri().path())
        || request.uri().path() == "/"
        || request.uri().path().starts_with("/page/");
    if is_open { Ok(()) } else { check_key(&server.access, headers) }
}

/// The name in `host:port` or `[address]:port`.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_loopback(name: &str) -> bool {
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// A page can make its own name point at this machine: on loopback only names of loopback are answered.
fn check_host(access: &Access, headers: &HeaderMap) -> Result<(), ApiError> {
    if !access.loopback {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = name_of(host);
    if is_loopback(name) || access.hosts.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let text = "this server answers only to the names of this machine; start it with --allow-host for others";
    Err(ApiError::request(StatusCode::FORBIDDEN, "host_refused", text))
}

/// Pages of other sites may not ask. Programs send no origin.
fn check_origin(access: &Access, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("null");
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) || access.origins.iter().any(|allowed| allowed == origin) {
        return Ok(());
    }
    let text = "pages of other sites may not ask this server; start it with --allow-origin for one";
    Err(ApiError::request(StatusCode::FORBIDDEN, "origin_refused", text))
}

fn check_key(access: &Access, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(key) = &access.key else { return Ok(()) };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let given = bearer.or_else(|| headers.get("x-api-key")?.to_str().ok()).unwrap_or_default();
    // Every byte is compared, so that the time does not tell how many are right.
    let differences = key.bytes().zip(given.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    if key.len() == given.len() && differences == 0 { Ok(()) } else { Err(ApiError::key()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_are_answered() {
        let access = Access { loopback: true, hosts: vec!["box.local".into()], ..Access::default() };
        for host in ["localhost:8000", "127.0.0.1:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST", "box.local:1"] {
            assert!(check_host(&access, &headers(&[("host", host)])).is_ok(), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", ""] {
            assert!(check_host(&access, &headers(&[("host", host)])).is_err(), "{host}");
        }
        assert!(check_host(&Access::default(), &headers(&[("host", "any.example")])).is_ok());
    }

    #[test]
    fn pages_of_other_sites_may_not_ask() {
        let access = Access { origins: vec!["https://app.example".into()], ..Access::default() };
        let ask = |origin| check_origin(&access, &headers(&[("host", "localhost:8000"), ("origin", origin)]));
        assert!(ask("http://localhost:8000").is_ok() && ask("https://app.example").is_ok());
        for origin in ["null", "https://evil.example", "http://localhost:9000", "http://localhost:8000.evil.example"] {
            assert!(ask(origin).is_err(), "{origin}");
        }
        assert!(check_origin(&access, &headers(&[("host", "localhost:8000")])).is_ok());
    }

    #[test]
    fn a_key_is_taken_in_both_headers() {
        let access = Access { key: Some("secret".into()), ..Access::default() };
        assert!(check_key(&access, &headers(&[("authorization", "Bearer secret")])).is_ok());
        assert!(check_key(&access, &headers(&[("x-api-key", "secret")])).is_ok());
        for wrong in ["Bearer secre", "Bearer secret2", "secret", "Bearer "] {
            assert!(check_key(&access, &headers(&[("authorization", wrong)])).is_err(), "{wrong}");
        }
        assert!(check_key(&access, &headers(&[])).is_err());
    }

    #[test]
    fn names_that_clients_make_up_are_no_labels() {
        assert_eq!(
            [route_of("/v1/models/x"), route_of("/v1/modelsx"), route_of("/made/up")],
            ["/v1/models", "other", "other"]
        );
    }
}
