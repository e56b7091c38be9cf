//! Secrets at rest: a data key seals them, a master key seals the data key.
//!
//! The master key never touches the database, so that a dump of it opens nothing. XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha) with random nonces; each secret is bound to what it is for, so that one sealed value
//! can't be put in another's place. A sealed value is the nonce (24 bytes), then the ciphertext and its tag.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
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
/// Bytes of a file with a secret.
const MAX_SECRET: u64 = 64 * 1024;

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

/// The master key as a file, and the one that is to take its place. Outside the data directory, so that a copy of that
/// directory doesn't hold the key to what is sealed in it.
pub struct MasterFile {
    /// The key in use.
    pub current: PathBuf,
    next: PathBuf,
}

impl MasterFile {
    /// Those beside a data directory.
    pub fn beside(data_dir: &Path) -> Self {
        // Through the components, to lose a trailing slash.
        let base = data_dir.components().collect::<PathBuf>().into_os_string();
        let with = |suffix: &str| {
            let mut path = base.clone();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { current: with(".master.key"), next: with(".master.key.next") }
    }

    /// The key in use, if there is one.
    ///
    /// # Errors
    /// Where it can't be read or is none.
    pub fn read(&self) -> anyhow::Result<Option<SealingKey>> {
        read_key(&self.current)
    }

    /// The first one of a deployment.
    ///
    /// # Errors
    /// Where it can't be written, or is there already.
    pub fn make(&self) -> anyhow::Result<SealingKey> {
        let key = SealingKey::generate()?;
        if let Some(parent) = self.current.parent() {
            fs::create_dir_all(parent)?;
        }
        write_key(File::options().create_new(true), &self.current, &key)?;
        tracing::warn!(
            path = %self.current.display(),
            "made a master key; it opens all signing keys: keep a copy away from the database's backups, and set KEYWARD_MASTER_KEY in production"
        );
        Ok(key)
    }

    /// The one that a rotation has left.
    ///
    /// # Errors
    /// As [`MasterFile::read`].
    pub fn read_next(&self) -> anyhow::Result<Option<SealingKey>> {
        read_key(&self.next)
    }

    /// A new one, on the disk before anything is sealed under it.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn make_next(&self) -> anyhow::Result<SealingKey> {
        let key = SealingKey::generate()?;
        // One that opens nothing may be left of a run that was cut off.
        let _ = fs::remove_file(&self.next);
        write_key(File::options().create_new(true), &self.next, &key)?;
        self.sync()?;
        Ok(key)
    }

    /// Puts the next one in the place of the one in use.
    ///
    /// # Errors
    /// Where that can't be done.
    pub fn settle(&self) -> anyhow::Result<()> {
        fs::rename(&self.next, &self.current)?;
        self.sync()
    }

    fn sync(&self) -> anyhow::Result<()> {
        let folder = self.current.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(File::open(folder)?.sync_all()?)
    }
}

fn read_key(path: &Path) -> anyhow::Result<Option<SealingKey>> {
    match read_secret(path) {
        Ok(text) => parse_master_key(&text).map(Some).with_context(|| format!("{} is not 32 bytes of base64url", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

fn write_key(options: &mut fs::OpenOptions, path: &Path, key: &SealingKey) -> anyhow::Result<()> {
    let mut file = secret_file(options, path)?;
    let text = Zeroizing::new(base64url(key.expose()));
    writeln!(file, "{}", *text)?;
    Ok(file.sync_all()?)
}

/// A master key in base64url; `None` where it is not 32 bytes of it.
pub fn parse_master_key(text: &str) -> Option<SealingKey> {
    decode_base64url_exact(text.trim()).map(SealingKey::new)
}

/// What a file says that nobody but its owner may read. Its owner is this user or root; where root has handed it to us by our group, as
/// with a secret that is mounted into a container, the group may read it too.
///
/// # Errors
/// Where it can't be read, or others can, or it is longer than any secret of ours.
pub fn read_secret(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let (mode, us) = (meta.mode() & 0o777, rustix::process::geteuid().as_raw());
    if ![0, us].contains(&meta.uid()) {
        return Err(io::Error::other("it belongs to another user"));
    }
    let others = if meta.uid() == us { 0o077 } else { 0o037 };
    if mode & others != 0 {
        return Err(io::Error::other(format!("it is open to others (mode {mode:04o}): chmod 600 it, and rotate the key")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_SECRET + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SECRET {
        return Err(io::Error::other("it is too large"));
    }
    Ok(text)
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
