//! §1: Braze is reached over TLS only.

use braze_sim::{Options, Sim, Tls};
use reqwest::Certificate;

use crate::support::within;

#[tokio::test]
async fn s1_whoever_trusts_the_certificate_is_served_over_tls_and_nobody_else() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.der().to_vec();
    let options = Options {
        tls: Some(Tls {
            certificate: certificate.clone(),
            key: made.signing_key.serialize_der(),
        }),
        ..Options::default()
    };
    let sim = Sim::start(options).await.unwrap();
    let url = format!("{}/users/track", sim.base_url());
    assert!(url.starts_with("https://"), "{url}");
    let builder = || reqwest::Client::builder().no_proxy();
    let stranger = builder().build().unwrap();
    let refused = within(stranger.post(&url).send()).await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    let trusting = builder().tls_certs_merge([Certificate::from_der(&certificate).unwrap()]);
    let answer = within(trusting.build().unwrap().post(&url).send()).await.unwrap();
    assert_eq!(answer.status(), 401, "no key");
}
