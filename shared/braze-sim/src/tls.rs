//! TLS, if the simulator is to speak it.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
pub(crate) use tokio_rustls::rustls::Error;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, version};

use crate::options::Tls;

pub(crate) fn acceptor(tls: Tls) -> Result<TlsAcceptor, Error> {
    let certificate = CertificateDer::from(tls.certificate);
    let key = PrivatePkcs8KeyDer::from(tls.key);
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
