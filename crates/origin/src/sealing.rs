//! Secrets at rest: a data key seals them, a master key seals the data key.
//!
//! The master key never touches the database, so that a dump of it opens nothing. XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha) with random nonces; each secret is bound to what it is for, so that one sealed value
//! can't be put in another's place. A sealed value is the nonce (24 bytes), then the ciphertext and its tag.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use keyward_core::codec::{base64url, decode_base64url_exact};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const NONCE_LEN: usize = 24;

/// Random bytes from the operating system.
///
/// # Errors
/// Where it has none to give.
pub fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(bytes)
}

/// A key of 32 bytes that seals and opens.
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A fresh one.
    ///
    /// # Errors
    /// As [`random`].
    pub fn generate() -> anyhow::Result<Self> {
        Ok(Self::new(random()?))
    }

    /// The secret itself, to be sealed under another key.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another key that only the holder of this one can make: one for each `purpose`.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        // The key has full entropy and a fixed length, so that a hash with a prefix is a sound derivation.
        Sha256::new().chain_update(b"keyward/derive/v1\0").chain_update(*self.0).chain_update(purpose).finalize().into()
    }

    /// Seals `secret` for `purpose`.
    ///
    /// # Errors
    /// As [`random`].
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> anyhow::Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: purpose.as_bytes() })
            .map_err(|_| anyhow!("can't seal"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for `purpose`.
    ///
    /// # Errors
    /// Where it was sealed under another key, for another purpose, or was changed.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().context("a sealed value is cut short")?;
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: purpose.as_bytes() })
            .map(Zeroizing::new)
            .map_err(|_| anyhow!("a sealed value doesn't open: is it the right master key?"))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.0).into())
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(redacted)")
    }
}

/// The master key: as told (base64url of 32 bytes), else from the file beside the data directory, else a new one in
/// that file.
///
/// # Errors
/// Where it is not 32 bytes of base64url, or the file can't be read or made.
pub fn master_key(told: Option<&str>, data_dir: &Path) -> anyhow::Result<SealingKey> {
    if let Some(text) = told {
        return parse(text).context("KEYWARD_MASTER_KEY is not 32 bytes of base64url");
    }
    let path = master_key_path(data_dir);
    match fs::read_to_string(&path) {
        Ok(text) => return parse(&text).with_context(|| format!("{} is not 32 bytes of base64url", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
    }
    let key = SealingKey::generate()?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // Exclusively: where two servers start at once, the second one finds the first one's at its next try.
    let mut file = secret_file(File::options().create_new(true), &path)?;
    let text = Zeroizing::new(base64url(key.expose()));
    writeln!(file, "{}", *text)?;
    file.sync_all()?;
    tracing::warn!(
        path = %path.display(),
        "made a master key; it opens all signing keys: keep a copy away from the database's backups, and set KEYWARD_MASTER_KEY in production"
    );
    Ok(key)
}

/// Outside the data directory, so that a copy of that directory doesn't hold the key to what is sealed in it.
fn master_key_path(data_dir: &Path) -> PathBuf {
    // Through the components, to lose a trailing slash.
    let mut path = data_dir.components().collect::<PathBuf>().into_os_string();
    path.push(".master.key");
    path.into()
}

fn parse(text: &str) -> Option<SealingKey> {
    decode_base64url_exact(text.trim()).map(SealingKey::new)
}

/// Opens a file that only its owner can read.
///
/// # Errors
/// As opening any file.
pub fn secret_file(options: &mut fs::OpenOptions, path: &Path) -> anyhow::Result<File> {
    options.write(true).mode(0o600).open(path).with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_under_its_own_key_and_purpose_alone() {
        let key = SealingKey::new([1; 32]);
        let sealed = key.seal("a", b"secret").unwrap();
        assert_eq!(&key.open("a", &sealed).unwrap()[..], b"secret");
        assert!(key.open("b", &sealed).is_err());
        assert!(SealingKey::new([2; 32]).open("a", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("a", &changed).is_err(), "byte {at}");
            assert!(key.open("a", &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
