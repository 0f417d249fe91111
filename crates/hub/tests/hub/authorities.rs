//! A hub whose certificate is of a company's own authority.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use zoetrope_hub::{CertificatePath, HubError, HubOptions, Unwatched, pull};

use crate::stand_in::{Hub, MODEL, toy_files};

/// A hub over TLS under the name `localhost`, and the file of its authority.
fn hub() -> (Hub, PathBuf) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("key");
    let pem = authority.self_signed(&key).expect("authority").pem();
    let issuer = Issuer::new(authority, key);
    let server_key = KeyPair::generate().expect("key");
    let server = CertificateParams::new(vec!["localhost".to_string()]).expect("parameters");
    let server: CertificateDer<'static> = server.signed_by(&server_key, &issuer).expect("certificate").into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![server], PrivateKeyDer::try_from(server_key.serialize_der()).expect("key"))
        .expect("certificate");
    let config = Arc::new(config);
    let wrap = move |stream: TcpStream| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    };
    // Files in git alone: the store of large files is not behind TLS here.
    let files: Vec<_> = toy_files().into_iter().map(|(name, bytes, _)| (name, bytes, false)).collect();
    let hub = Hub::over(&files, wrap);
    let file = hub.folder.path().join("authority.pem");
    std::fs::write(&file, pem).expect("write");
    (hub, file)
}

fn options(hub: &Hub, certificates: &[&Path]) -> HubOptions {
    let named = |path: &&Path| CertificatePath { variable: "SSL_CERT_FILE", path: path.to_path_buf() };
    HubOptions {
        endpoint: format!("https://localhost:{}", hub.port),
        certificates: certificates.iter().map(named).collect(),
        pause: Duration::from_secs(60),
        ..hub.options()
    }
}

#[test]
fn an_authority_that_is_named_is_trusted() {
    let (hub, file) = hub();
    let (other, other_file) = self::hub();
    // Unknown to the system, and another company's: refused at once.
    for named in [vec![], vec![other_file.as_path()]] {
        let begin = Instant::now();
        let error = pull(MODEL, &options(&hub, &named), &mut Unwatched).expect_err("unknown");
        assert!(matches!(&error, HubError::Certificate { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    drop(other);
    let error = pull(MODEL, &options(&hub, &[&other_file]), &mut Unwatched).expect_err("removed with its hub");
    assert!(matches!(&error, HubError::Setting(text) if text.contains("SSL_CERT_FILE")), "{error}");
    let folder = tempfile::tempdir().expect("folder");
    std::fs::copy(&file, folder.path().join("a.pem")).expect("copy");
    for named in [vec![file.as_path()], vec![folder.path()]] {
        let path = pull(MODEL, &options(&hub, &named), &mut Unwatched).expect("trusted");
        assert!(path.join("model.safetensors").is_file());
        std::fs::remove_dir_all(hub.root()).expect("remove");
    }
}
