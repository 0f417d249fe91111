//! The addresses of a host: looked up once, then connected to as they were checked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ArrayVec, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::error::FetchError;
use super::target::Target;

/// Addresses of one host that are looked at.
const MAX_ADDRESSES: usize = 16;
/// The longest wait for a name server.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync {
    /// All addresses of `name`.
    ///
    /// # Errors
    /// When there is no such name, or no answer.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system, which reads its table of hosts and asks name servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// The addresses of the target, at least one. A host that is an address itself is not looked up.
pub(super) fn resolve(
    lookup: &Arc<dyn Lookup>,
    target: &Target,
    wait: Duration,
) -> Result<Vec<SocketAddr>, FetchError> {
    let wait = wait.min(MAX_WAIT);
    let found = match target.ip() {
        Some(address) => vec![address],
        None => {
            // The system cannot be told to give up: the thread ends when it does.
            let (lookup, name) = (lookup.clone(), target.name().to_string());
            let (answer, answered) = sync_channel(1);
            let asked = std::thread::Builder::new().name("lookup".into()).spawn(move || {
                let _ = answer.send(lookup.addresses(&name));
            });
            asked.map_err(|_| FetchError::Network("the host cannot be looked up now"))?;
            match answered.recv_timeout(wait) {
                Ok(found) => found.map_err(|_| FetchError::Network("the host is not known"))?,
                Err(_) => return Err(FetchError::Time { what: "of looking up the host", seconds: wait.as_secs() }),
            }
        }
    };
    if found.is_empty() {
        return Err(FetchError::Network("the host is not known"));
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, target.port())).collect())
}

/// Addresses that have been checked, whatever is asked for. No name is looked up a second time.
#[derive(Debug)]
pub(super) struct Pinned(pub(super) Vec<SocketAddr>);

impl Resolver for Pinned {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = ArrayVec::from_fn(|_| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        self.0.iter().take(MAX_ADDRESSES).for_each(|&address| addresses.push(address));
        Ok(addresses)
    }
}
