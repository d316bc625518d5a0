//! Sealing secrets before they reach Kafka: AES-256-GCM.
//!
//! The resource name and the secret's revision are associated data, so a sealed secret that is copied to another resource, or
//! an old one that is put back, does not open. Keys are rotated by listing several: the first seals, all of them open.
//!
//! The same keys make tags, HMAC-SHA256: words that nobody can guess, and that nobody has to keep, for every replica can check them.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use proto::control::v1::SealedSecret;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What is wrong with the list of keys. Never shows a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// No key at all.
    #[error("no key; make one with: openssl rand -base64 32, and write it as id:key")]
    None,
    /// Not `id:key`.
    #[error("entry {position} is not id:key; an id is made of lower-case letters, digits and hyphens")]
    Form {
        /// Which entry, from 1.
        position: usize,
    },
    /// The key is no base64 of 32 bytes.
    #[error("key {id} is not the base64 of 32 bytes; make one with: openssl rand -base64 32")]
    Key {
        /// Its id.
        id: String,
    },
    /// An id that is there twice.
    #[error("key {id} is listed twice")]
    Twice {
        /// The id.
        id: String,
    },
}

/// Why a secret cannot be sealed or opened. Never shows material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The cipher refused to seal.
    #[error("{resource}: the secret cannot be sealed")]
    Seal {
        /// Whose secret.
        resource: String,
    },
    /// It was sealed by a key that is not configured any more.
    #[error("{resource}: sealed by key {key_id}, which is not among the configured keys")]
    UnknownKey {
        /// Whose secret.
        resource: String,
        /// The key that is missing.
        key_id: String,
    },
    /// The key has another value than it had, or the record was tampered with.
    #[error(
        "{resource}: does not open with key {key_id}; the key was changed under its id, or the record tampered with"
    )]
    Open {
        /// Whose secret.
        resource: String,
        /// The key that was tried.
        key_id: String,
    },
}

/// The configured keys.
pub struct Sealer {
    keys: Vec<Key>,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
    /// What the keys of tags are derived with.
    derive: Hmac<Sha256>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl Sealer {
    /// The keys of `id:base64[,id:base64…]`, each of 32 bytes. The first seals.
    ///
    /// # Errors
    /// The first thing that is wrong with the list.
    pub fn from_config(keys: &SecretString) -> Result<Self, KeysError> {
        let mut sealer = Self { keys: Vec::new() };
        for (index, entry) in keys.expose_secret().split(',').enumerate() {
            let entry = entry.trim();
            if entry.is_empty() {
                continue;
            }
            let form = KeysError::Form { position: index + 1 };
            let Some((id, key)) = entry.split_once(':').filter(|(id, _)| model::name::is_id(id)) else {
                return Err(form);
            };
            if sealer.key(id).is_some() {
                return Err(KeysError::Twice { id: id.to_owned() });
            }
            let bytes = Zeroizing::new(STANDARD.decode(key).unwrap_or_default());
            let wrong = || KeysError::Key { id: id.to_owned() };
            sealer.keys.push(Key {
                id: id.to_owned(),
                cipher: Aes256Gcm::new_from_slice(&bytes).map_err(|_| wrong())?,
                derive: hmac(&bytes),
            });
        }
        if sealer.keys.is_empty() {
            Err(KeysError::None)
        } else {
            Ok(sealer)
        }
    }

    /// Seals the secret of `resource` (its full name) with the first key, under a random nonce.
    ///
    /// # Errors
    /// [`Error::Seal`] when the cipher refuses, which it does for secrets beyond 64 GiB only.
    pub fn seal(&self, resource: &str, revision: u64, secret: &SecretString) -> Result<SealedSecret, Error> {
        let Key { id, cipher, .. } = &self.keys[0];
        let nonce: [u8; 12] = rand::random();
        let aad = associated_data(resource, revision);
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: &aad,
        };
        let ciphertext = cipher.encrypt(&nonce.into(), payload).map_err(|_| Error::Seal {
            resource: resource.to_owned(),
        })?;
        Ok(SealedSecret {
            key_id: id.clone(),
            nonce: nonce.to_vec().into(),
            ciphertext: ciphertext.into(),
            secret_revision: revision,
        })
    }

    /// Opens the sealed secret of `resource`.
    ///
    /// # Errors
    /// When its key is not configured, or it was not sealed like this for this resource.
    pub fn open(&self, resource: &str, sealed: &SealedSecret) -> Result<SecretString, Error> {
        let key_id = sealed.key_id.clone();
        let Some(Key { cipher, .. }) = self.key(&key_id) else {
            return Err(Error::UnknownKey {
                resource: resource.to_owned(),
                key_id,
            });
        };
        let opened = || {
            let nonce: [u8; 12] = sealed.nonce.as_ref().try_into().ok()?;
            let aad = associated_data(resource, sealed.secret_revision);
            let bytes = cipher
                .decrypt(
                    &nonce.into(),
                    Payload {
                        msg: &sealed.ciphertext,
                        aad: &aad,
                    },
                )
                .ok()?;
            let bytes = Zeroizing::new(bytes);
            Some(SecretString::from(std::str::from_utf8(&bytes).ok()?))
        };
        opened().ok_or_else(|| Error::Open {
            resource: resource.to_owned(),
            key_id,
        })
    }

    /// The tag of a message, made with the first key: 43 letters, digits, dashes and underscores. A tag for one `purpose` is none for
    /// another. It is a secret, for whoever has it can show it.
    pub fn tag(&self, purpose: &str, message: &str) -> SecretString {
        let tag = self.keys[0].tagging(purpose, message).finalize().into_bytes();
        SecretString::from(URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether this is the tag of the message, by any of the keys; the time that it takes tells nothing of the tag.
    pub fn verify(&self, purpose: &str, message: &str, tag: &str) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(tag) else {
            return false;
        };
        let mut keys = self.keys.iter();
        keys.any(|key| key.tagging(purpose, message).verify_slice(&tag).is_ok())
    }

    fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl Key {
    /// Under a key of the purpose's own, so that nothing is shared with the cipher or with other purposes.
    fn tagging(&self, purpose: &str, message: &str) -> Hmac<Sha256> {
        let derived = self.derive.clone().chain_update(purpose).finalize().into_bytes();
        hmac(&derived).chain_update(message)
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length will do")
}

/// The name, a zero byte that no name holds, the revision.
fn associated_data(resource: &str, revision: u64) -> Vec<u8> {
    [resource.as_bytes(), &[0], &revision.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "accounts/1/authorizations/a";

    fn keys(text: &str) -> Result<Sealer, KeysError> {
        Sealer::from_config(&SecretString::from(text))
    }

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    fn secret() -> SecretString {
        SecretString::from("b0000000-1111-2222")
    }

    #[test]
    fn what_was_sealed_opens_and_shows_nothing_meanwhile() {
        let sealer = keys(&format!("k1:{}", key(1))).unwrap();
        let sealed = sealer.seal(NAME, 3, &secret()).unwrap();
        assert!(!sealed.ciphertext.windows(8).any(|window| window == b"b0000000"));
        assert_eq!(
            sealer.open(NAME, &sealed).unwrap().expose_secret(),
            secret().expose_secret()
        );
        assert_ne!(sealed.nonce, sealer.seal(NAME, 3, &secret()).unwrap().nonce);
    }

    #[test]
    fn a_secret_moved_to_another_resource_or_revision_does_not_open() {
        let sealer = keys(&format!("k1:{}", key(1))).unwrap();
        let sealed = sealer.seal(NAME, 3, &secret()).unwrap();
        assert!(matches!(
            sealer.open("accounts/2/authorizations/a", &sealed),
            Err(Error::Open { .. })
        ));
        let older = SealedSecret {
            secret_revision: 2,
            ..sealed.clone()
        };
        assert!(matches!(sealer.open(NAME, &older), Err(Error::Open { .. })));
        let cut = SealedSecret {
            nonce: sealed.nonce.slice(1..),
            ..sealed
        };
        assert!(matches!(sealer.open(NAME, &cut), Err(Error::Open { .. })));
    }

    #[test]
    fn keys_are_rotated_by_listing_both() {
        let sealed = keys(&format!("old:{}", key(1)))
            .unwrap()
            .seal(NAME, 1, &secret())
            .unwrap();
        let both = keys(&format!("new:{}, old:{}", key(2), key(1))).unwrap();
        assert!(both.open(NAME, &sealed).is_ok());
        assert_eq!(both.seal(NAME, 1, &secret()).unwrap().key_id, "new");
        let gone = keys(&format!("new:{}", key(2)))
            .unwrap()
            .open(NAME, &sealed)
            .unwrap_err();
        assert_eq!(
            gone,
            Error::UnknownKey {
                resource: NAME.to_owned(),
                key_id: "old".to_owned()
            }
        );
        let changed = keys(&format!("old:{}", key(2))).unwrap();
        assert!(matches!(changed.open(NAME, &sealed), Err(Error::Open { .. })));
    }

    #[test]
    fn a_tag_is_good_for_its_purpose_and_message_and_by_every_listed_key() {
        let old = keys(&format!("old:{}", key(1))).unwrap();
        let tag = old.tag("callback", NAME);
        let tag = tag.expose_secret();
        assert!(
            tag.len() == 43
                && tag
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert!(old.verify("callback", NAME, tag));
        for (purpose, message) in [("upload", NAME), ("callback", "accounts/1"), ("callbac", "kaccounts/1")] {
            assert!(!old.verify(purpose, message, tag), "{purpose} {message}");
        }
        let both = keys(&format!("new:{},old:{}", key(2), key(1))).unwrap();
        assert!(both.verify("callback", NAME, tag));
        let newer = both.tag("callback", NAME);
        assert!(both.verify("callback", NAME, newer.expose_secret()));
        assert!(
            !old.verify("callback", NAME, newer.expose_secret()),
            "the first key makes it"
        );
        assert!(!keys(&format!("new:{}", key(2))).unwrap().verify("callback", NAME, tag));
        assert!(!format!("{:?}", old.tag("callback", NAME)).contains(tag));
    }

    #[test]
    fn nothing_that_is_not_the_whole_tag_passes_for_it() {
        let sealer = keys(&format!("k1:{}", key(1))).unwrap();
        let tag = sealer.tag("callback", NAME);
        let tag = tag.expose_secret();
        let other = |byte: u8| if byte == b'A' { 'B' } else { 'A' };
        let changed = format!("{}{}", other(tag.as_bytes()[0]), &tag[1..]);
        for wrong in [
            "",
            &tag[..42],
            &tag[..4],
            &format!("{tag}A"),
            &format!("{tag}="),
            &changed,
            "ä",
            "a/b+",
        ] {
            assert!(!sealer.verify("callback", NAME, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_bad_list_of_keys_is_refused_without_showing_a_key() {
        let short = STANDARD.encode([7; 16]);
        assert_eq!(keys("").unwrap_err(), KeysError::None);
        assert_eq!(keys(&key(1)).unwrap_err(), KeysError::Form { position: 1 });
        assert_eq!(
            keys(&format!("a:{},B:{}", key(1), key(2))).unwrap_err(),
            KeysError::Form { position: 2 }
        );
        assert_eq!(
            keys(&format!("a:{short}")).unwrap_err(),
            KeysError::Key { id: "a".to_owned() }
        );
        assert_eq!(keys("a:***").unwrap_err(), KeysError::Key { id: "a".to_owned() });
        assert_eq!(
            keys(&format!("a:{0},a:{0}", key(1))).unwrap_err(),
            KeysError::Twice { id: "a".to_owned() }
        );
        assert!(!keys(&format!("a:{short}")).unwrap_err().to_string().contains(&short));
        assert_eq!(format!("{:?}", keys(&format!("a:{}", key(1))).unwrap()), r#"["a"]"#);
    }
}
