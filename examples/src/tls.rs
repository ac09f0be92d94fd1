//! Certificates and TLS settings of the SIP connections.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate authority that lives as long as the program.
///
/// ```
/// use linkspan_examples::{Authority, Tls};
///
/// let authority = Authority::generate()?;
/// let server = Tls::new(Some(authority.identity(&["127.0.0.1"])?), authority.roots()?, true)?;
/// assert!(server.acceptor().is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// Makes a key and a self-signed certificate.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn generate() -> io::Result<Self> {
        let mut parameters = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        parameters.distinguished_name.push(DnType::CommonName, "Linkspan demo authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = parameters.self_signed(&key).map_err(io::Error::other)?.der().clone();
        Ok(Self { issuer: Issuer::new(parameters, key), certificate })
    }

    /// A certificate for these host names and addresses, for both ends of a connection.
    ///
    /// # Errors
    /// When a name is no host name.
    pub fn identity(&self, names: &[&str]) -> io::Result<Identity> {
        let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut parameters = CertificateParams::new(names).map_err(io::Error::other)?;
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        Ok(Identity { chain: vec![certificate.der().clone()], key })
    }

    /// A store that trusts this authority and nobody else.
    ///
    /// # Errors
    /// When its certificate is refused.
    pub fn roots(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(io::Error::other)?;
        Ok(roots)
    }
}

/// A certificate chain and its private key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a chain and a key from PEM files.
    ///
    /// # Errors
    /// When a file cannot be read or holds nothing of the kind.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> io::Result<Self> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| io::Error::other(format!("{}: {error}", key.display())))?;
        Ok(Self { chain, key })
    }
}

/// Reads the certificates of trusted authorities from a PEM file.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub fn read_roots(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let describe = |error| io::Error::other(format!("{}: {error}", path.display()));
    let found = CertificateDer::pem_file_iter(path)
        .map_err(describe)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(describe)?;
    if found.is_empty() {
        return Err(io::Error::other(format!("{}: no certificate in it", path.display())));
    }
    Ok(found)
}

/// TLS for both ends of SIP connections. The peer's certificate is always verified.
///
/// Clones share their settings, which may be replaced while connections use them.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<Settings>>);

#[derive(Clone)]
struct Settings {
    acceptor: Option<TlsAcceptor>,
    connector: TlsConnector,
}

impl core::fmt::Debug for Tls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tls").field("accepts", &self.acceptor().is_some()).finish_non_exhaustive()
    }
}

impl Tls {
    /// Settings from an identity and the authorities it trusts. Without an identity nothing can
    /// be accepted; with `mutual`, accepted connections must bring a trusted certificate.
    ///
    /// # Errors
    /// When the key does not fit the certificate.
    pub fn new(identity: Option<Identity>, roots: RootCertStore, mutual: bool) -> io::Result<Self> {
        let provider = Arc::new(default_provider());
        let roots = Arc::new(roots);
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(Arc::clone(&roots));
        let Some(identity) = identity else {
            let connector = TlsConnector::from(Arc::new(client.with_no_client_auth()));
            return Ok(Self::of(None, connector));
        };
        let client = client
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(io::Error::other)?;
        let verifier = if mutual {
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(io::Error::other)?
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain, identity.key)
            .map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(client));
        Ok(Self::of(Some(TlsAcceptor::from(Arc::new(server))), connector))
    }

    fn of(acceptor: Option<TlsAcceptor>, connector: TlsConnector) -> Self {
        Self(Arc::new(RwLock::new(Settings { acceptor, connector })))
    }

    /// Connections that begin from now on have the settings of `new`; those there are stay.
    pub fn replace(&self, new: &Self) {
        let settings = new.settings();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// What accepts connections; `None` without an identity.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        self.settings().acceptor
    }

    /// What opens connections.
    pub fn connector(&self) -> TlsConnector {
        self.settings().connector
    }

    fn settings(&self) -> Settings {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::ServerName;

    use super::*;

    /// Whether a client and a server that have these settings come to terms.
    async fn agree(client: &Tls, server: &Tls) -> bool {
        let (here, there) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from("gw.example.test").unwrap();
        let (connector, acceptor) = (client.connector(), server.acceptor().unwrap());
        let (connected, accepted) =
            tokio::join!(connector.connect(name, here), acceptor.accept(there));
        connected.is_ok() && accepted.is_ok()
    }

    #[tokio::test]
    async fn connections_that_begin_later_have_the_new_certificates() {
        let (old, new) = (Authority::generate().unwrap(), Authority::generate().unwrap());
        let of = |authority: &Authority| {
            let identity = authority.identity(&["gw.example.test"]).unwrap();
            Tls::new(Some(identity), authority.roots().unwrap(), true).unwrap()
        };
        let (gateway, shared) = (of(&old), of(&old));
        let in_use = gateway.clone();
        assert!(agree(&shared, &in_use).await);
        assert!(!agree(&of(&new), &in_use).await);
        gateway.replace(&of(&new));
        assert!(agree(&of(&new), &in_use).await && agree(&in_use, &of(&new)).await);
        assert!(!agree(&shared, &in_use).await);
    }
}
