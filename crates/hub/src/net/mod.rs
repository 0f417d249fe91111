//! Requests over HTTP: whom to trust, which way to go, redirects, and which errors pass.

mod address;
mod certificates;
mod http;
mod proxy;

pub(crate) use certificates::tls;
pub(crate) use http::{Http, Method, NetError, Reply, header};
