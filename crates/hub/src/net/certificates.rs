//! Which certificate authorities are trusted: those that the environment names, else the system's, else Mozilla's.

use std::path::Path;
use std::sync::Arc;

use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::error::HubError;
use crate::options::CertificatePath;

/// The settings of TLS. As in OpenSSL and Python's clients, named files replace the system's.
///
/// # Errors
/// [`HubError::Setting`] when a named file cannot be read or holds no certificate.
pub(crate) fn tls(named: &[CertificatePath]) -> Result<TlsConfig, HubError> {
    let mut all = Vec::new();
    let mut empty_folder = None;
    for CertificatePath { variable, path } in named {
        let wrong = |what: String| HubError::Setting(format!("{}: {what} (the variable {variable})", path.display()));
        let is_folder = path.is_dir();
        let found = at(path, is_folder).map_err(|error| wrong(error.to_string()))?;
        if found.certs.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            let error = wrong(format!("holds no certificate{why}"));
            if !is_folder {
                return Err(error);
            }
            // A folder is often named beside a file, and empty.
            empty_folder = Some(error);
        }
        all.extend(found.certs);
    }
    if let Some(error) = empty_folder.filter(|_| all.is_empty()) {
        return Err(error);
    }
    if named.is_empty() {
        all = load_native_certs().certs;
    }
    let roots = match all.is_empty() {
        // A container without a store.
        true => RootCerts::WebPki,
        false => {
            let all = all.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned());
            RootCerts::Specific(Arc::new(all.collect()))
        }
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

/// The certificates in a file, or in the files of a folder.
fn at(path: &Path, is_folder: bool) -> std::io::Result<CertificateResult> {
    std::fs::metadata(path)?;
    let (file, folder) = if is_folder { (None, Some(path)) } else { (Some(path), None) };
    Ok(load_certs_from_paths(file, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_certificates_are_named() {
        let folder = tempfile::tempdir().expect("folder");
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").expect("write");
        let text = folder.path().join("text.pem");
        std::fs::write(&text, "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n").expect("write");
        for path in [folder.path().join("none.pem"), empty, text] {
            let named = [CertificatePath { variable: "SSL_CERT_FILE", path: path.clone() }];
            let error = tls(&named).expect_err("no certificate").to_string();
            assert!(error.contains(&path.display().to_string()) && error.contains("SSL_CERT_FILE"), "{error}");
        }
        tls(&[]).expect("the system's");
    }
}
