//! Sealing: the secrets of gateway accounts as they lie in the database. Each account's are under a random key of
//! their own, and that key is under one from the configuration, so that whoever has the database alone has nothing. What
//! is sealed is bound to where it belongs: whoever can write to the database can neither use it elsewhere nor lead it
//! to another address.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingConfig {
    /// 64 hexadecimal digits; empty where no secrets are kept in the database.
    pub key: SecretString,
    /// Keys of earlier, by which what they sealed is still opened.
    pub old_keys: Vec<SecretString>,
}

/// What is sealed of an account.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    pub secret_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
}

/// The account whose secrets are sealed, and where they are sent. In the place of another they do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Whose account it is alone; those of `dunlin gateways` are everybody's.
    pub tenant: Option<&'a str>,
    pub account: &'a str,
    pub gateway: &'a str,
    pub livemode: bool,
    pub base_url: &'a str,
}

/// What is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The account's own key.
    Key,
    /// The secrets of its gateway.
    GatewaySecrets,
}

impl Place<'_> {
    /// What is authenticated beside a text. JSON tells where each part ends.
    fn bind(&self, purpose: Purpose) -> Vec<u8> {
        let Self { tenant, account, gateway, livemode, base_url } = self;
        let purpose = match purpose {
            Purpose::Key => "key",
            Purpose::GatewaySecrets => "gateway_secrets",
        };
        let environment = if *livemode { "live" } else { "test" };
        serde_json::json!(["dunlin", FORM, purpose, tenant, account, gateway, environment, base_url])
            .to_string()
            .into_bytes()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// Why something cannot be sealed or opened, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(
        "there is no key to seal with: set sealing.key (DUNLIN_SEALING__KEY) to 64 hexadecimal digits, as \
         `openssl rand -hex 32` prints them, and keep it apart from the database"
    )]
    NoKey,
    #[error("{0} must be 64 hexadecimal digits, as `openssl rand -hex 32` prints them")]
    NotAKey(&'static str),
    #[error(
        "it was sealed with the key {0}: set sealing.key (DUNLIN_SEALING__KEY) to that one, or add it to \
         sealing.old_keys"
    )]
    OtherKey(String),
    #[error(
        "what was sealed has been changed, or belongs to another account, gateway, environment or base_url: add the \
         account's secrets again with `dunlin gateways add`"
    )]
    Broken,
    #[error("it was sealed in the form {0}, which this version does not open: add the secrets again")]
    OtherForm(u32),
}

/// The keys at hand.
#[derive(Debug)]
pub struct Keyring {
    current: Option<Key>,
    old: Vec<Key>,
}

/// A key, and the id by which what it has sealed names it.
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// How it is stored; the texts are hexadecimal, each a nonce and what was encrypted.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// The form of all that follows.
    #[serde(default)]
    form: u32,
    /// The id of the key from the configuration.
    key_id: String,
    /// The account's own key.
    key: String,
    secrets: String,
}

const NONCE: usize = 24;
/// The present form of what is sealed.
const FORM: u32 = 1;

impl Keyring {
    pub fn new(config: &SealingConfig) -> Result<Self, SealError> {
        let current = Some(config.key.expose_secret()).filter(|key| !key.is_empty());
        let current =
            current.map(|key| Key::read(key).ok_or(SealError::NotAKey("sealing.key"))).transpose()?;
        let old = config.old_keys.iter().map(|key| Key::read(key.expose_secret()));
        let old = old.collect::<Option<_>>().ok_or(SealError::NotAKey("each of sealing.old_keys"))?;
        Ok(Self { current, old })
    }

    /// Seals the secrets of an account; what is sealed for one is worth nothing in the row of another.
    pub fn seal(&self, place: Place<'_>, secrets: &Secrets) -> Result<String, SealError> {
        let key = self.current.as_ref().ok_or(SealError::NoKey)?;
        let own: [u8; 32] = rand::random();
        let text = serde_json::to_vec(secrets).map_err(|_| SealError::Broken)?;
        let sealed = Sealed {
            form: FORM,
            key_id: key.id.clone(),
            key: encrypt(&key.cipher, &place.bind(Purpose::Key), &own)?,
            secrets: encrypt(
                &XChaCha20Poly1305::new(&own.into()),
                &place.bind(Purpose::GatewaySecrets),
                &text,
            )?,
        };
        serde_json::to_string(&sealed).map_err(|_| SealError::Broken)
    }

    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Secrets, SealError> {
        let sealed: Sealed = serde_json::from_str(sealed).map_err(|_| SealError::Broken)?;
        if sealed.form != FORM {
            return Err(SealError::OtherForm(sealed.form));
        }
        let mut keys = self.current.iter().chain(&self.old);
        let Some(key) = keys.find(|key| key.id == sealed.key_id) else {
            return Err(if self.current.is_none() && self.old.is_empty() {
                SealError::NoKey
            } else {
                SealError::OtherKey(sealed.key_id)
            });
        };
        let own = decrypt(&key.cipher, &place.bind(Purpose::Key), &sealed.key)?;
        let own: [u8; 32] = own.try_into().map_err(|_| SealError::Broken)?;
        let cipher = XChaCha20Poly1305::new(&own.into());
        let text = decrypt(&cipher, &place.bind(Purpose::GatewaySecrets), &sealed.secrets)?;
        serde_json::from_slice(&text).map_err(|_| SealError::Broken)
    }
}

/// The id of the key that something was sealed with.
pub fn key_id(sealed: &str) -> Option<String> {
    serde_json::from_str::<Sealed>(sealed).ok().map(|sealed| sealed.key_id)
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = hex::decode(text.trim()).ok()?.try_into().ok()?;
        let id = hex::encode(&Sha256::digest([b"dunlin sealing key id ", bytes.as_slice()].concat())[..4]);
        Some(Self { id, cipher: XChaCha20Poly1305::new(&bytes.into()) })
    }
}

fn encrypt(cipher: &XChaCha20Poly1305, aad: &[u8], text: &[u8]) -> Result<String, SealError> {
    let nonce: [u8; NONCE] = rand::random();
    let payload = Payload { msg: text, aad };
    let encrypted = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Broken)?;
    Ok(hex::encode([nonce.as_slice(), &encrypted].concat()))
}

fn decrypt(cipher: &XChaCha20Poly1305, aad: &[u8], text: &str) -> Result<Vec<u8>, SealError> {
    let bytes = hex::decode(text).map_err(|_| SealError::Broken)?;
    let (nonce, encrypted) = bytes.split_first_chunk::<NONCE>().ok_or(SealError::Broken)?;
    let payload = Payload { msg: encrypted, aad };
    cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(key: &str, old: &[&str]) -> Result<Keyring, SealError> {
        let old_keys = old.iter().map(|key| (*key).to_owned().into()).collect();
        Keyring::new(&SealingConfig { key: key.to_owned().into(), old_keys })
    }

    fn secrets() -> Secrets {
        Secrets { secret_key: "sk_test_canary".to_owned(), webhook_secret: Some("whsec_canary".to_owned()) }
    }

    const MAIN: Place<'static> = Place {
        tenant: None,
        account: "main",
        gateway: "stripe",
        livemode: false,
        base_url: "https://api.stripe.com",
    };

    fn key(digit: &str) -> String {
        digit.repeat(64)
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_and_shows_nothing() {
        let keyring = keyring(&key("a"), &[]).unwrap();

        let sealed = keyring.seal(MAIN, &secrets()).unwrap();
        let opened = keyring.open(MAIN, &sealed).unwrap();

        assert_eq!(opened.secret_key, "sk_test_canary");
        assert_eq!(opened.webhook_secret.as_deref(), Some("whsec_canary"));
        let hidden = [sealed.clone(), hex::encode(&sealed), format!("{keyring:?}{opened:?}")];
        assert!(hidden.iter().all(|text| !text.contains("canary") && !text.contains(&hex::encode("canary"))));
        assert_ne!(sealed, keyring.seal(MAIN, &secrets()).unwrap());
    }

    #[test]
    fn an_old_key_still_opens_and_a_lost_one_is_named() {
        let sealed = keyring(&key("a"), &[]).unwrap().seal(MAIN, &secrets()).unwrap();
        let id = key_id(&sealed).unwrap();

        assert!(keyring(&key("b"), &[&key("a")]).unwrap().open(MAIN, &sealed).is_ok());
        let lost = keyring(&key("b"), &[]).unwrap().open(MAIN, &sealed).unwrap_err();
        assert_eq!(lost, SealError::OtherKey(id));
        assert_eq!(keyring("", &[]).unwrap().open(MAIN, &sealed).unwrap_err(), SealError::NoKey);
        assert_eq!(keyring("", &[]).unwrap().seal(MAIN, &secrets()).unwrap_err(), SealError::NoKey);
    }

    #[test]
    fn what_was_changed_or_moved_to_another_place_is_not_opened() {
        let keyring = keyring(&key("a"), &[]).unwrap();
        let sealed = keyring.seal(MAIN, &secrets()).unwrap();
        let end = sealed.rfind(|digit: char| digit.is_ascii_hexdigit()).unwrap();
        let other = if &sealed[end..=end] == "0" { "1" } else { "0" };
        let changed = format!("{}{other}{}", &sealed[..end], &sealed[end + 1..]);

        for text in [changed.as_str(), "{\"form\":1}", ""] {
            assert_eq!(keyring.open(MAIN, text).unwrap_err(), SealError::Broken, "{text}");
        }
        for place in [
            Place { tenant: Some("ten_1"), ..MAIN },
            Place { account: "other", ..MAIN },
            Place { gateway: "acme", ..MAIN },
            Place { livemode: true, ..MAIN },
            Place { base_url: "https://api.stripe.com.evil.example", ..MAIN },
            // No part can lend to its neighbour.
            Place { account: "main\",\"stripe", gateway: "", ..MAIN },
        ] {
            assert_eq!(keyring.open(place, &sealed).unwrap_err(), SealError::Broken, "{place:?}");
        }
        let older = sealed.replace("\"form\":1", "\"form\":0");
        assert_eq!(keyring.open(MAIN, &older).unwrap_err(), SealError::OtherForm(0));
    }

    #[test]
    fn what_was_sealed_for_one_purpose_does_not_open_for_another() {
        let keyring = keyring(&key("a"), &[]).unwrap();
        let cipher = &keyring.current.as_ref().unwrap().cipher;

        let sealed = encrypt(cipher, &MAIN.bind(Purpose::Key), b"text").unwrap();

        assert_eq!(decrypt(cipher, &MAIN.bind(Purpose::Key), &sealed).unwrap(), b"text");
        assert_eq!(decrypt(cipher, &MAIN.bind(Purpose::GatewaySecrets), &sealed), Err(SealError::Broken));
    }

    #[test]
    fn a_key_is_sixty_four_hexadecimal_digits() {
        for wrong in ["a", &"g".repeat(64), &"a".repeat(62)] {
            assert!(matches!(keyring(wrong, &[]), Err(SealError::NotAKey("sealing.key"))), "{wrong}");
            assert!(matches!(keyring("", &[wrong]), Err(SealError::NotAKey(_))), "{wrong}");
        }
    }
}
