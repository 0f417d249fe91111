//! What fetching a file may cost.

use std::net::SocketAddr;
use std::time::Duration;

use crate::options::CertificatePath;

/// What fetching a file may cost, and whence it may come.
#[derive(Clone, Debug)]
pub struct FetchLimits {
    /// Bytes of the file.
    pub bytes: u64,
    /// Time for everything: looking up, all redirects, the whole file.
    pub time: Duration,
    /// The longest silence. In each such span at least 4,096 bytes of the file must come.
    pub stall: Duration,
    /// Redirects that are followed.
    pub redirects: usize,
    /// Hosts that may be asked, each with all names below it; every host when the list is empty.
    pub domains: Vec<String>,
    /// Whether private, local and reserved addresses may be asked, too, on every port.
    pub allow_private: bool,
    /// Addresses that may be asked even where they are not public: a server of one's own.
    pub trusted: Vec<SocketAddr>,
    /// Files and folders of certificate authorities; the system's when the list is empty.
    pub certificates: Vec<CertificatePath>,
}

impl Default for FetchLimits {
    /// 256 MiB, 60 s, 10 s of silence, 3 redirects, every public host.
    fn default() -> Self {
        FetchLimits {
            bytes: 256 << 20,
            time: Duration::from_secs(60),
            stall: Duration::from_secs(10),
            redirects: 3,
            domains: Vec::new(),
            allow_private: false,
            trusted: Vec::new(),
            certificates: Vec::new(),
        }
    }
}
