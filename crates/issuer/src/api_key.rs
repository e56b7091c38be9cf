use crate::SigningKey;
use keyward_core::{ApiKeyClaims, Environment, KeyPrefix, codec::write_key, signed_message};
use zeroize::Zeroizing;

/// Bytes of entropy that go into a key's signature.
pub const ENTROPY_LEN: usize = 16;

/// The text of an API key: a secret. Wiped when dropped; `Debug` shows nothing of it.
pub struct SecretKeyText(Zeroizing<String>);

impl SecretKeyText {
    /// The text itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for SecretKeyText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecretKeyText(redacted)")
    }
}

/// Makes an API key. The claims' signing key is set to `signer`'s.
///
/// The same arguments give the same key. Without the entropy, the key can't be made again even by who has the signing
/// key and all the rest: store it nowhere but where a retry has to answer the same.
///
/// ```
/// use keyward_core::{ApiKeyClaims, Environment, KeyId, KeyPrefix, ParsedKey, PolicyNumber, ScopeClass, StatusIndex};
/// use keyward_issuer::{SigningKey, mint_api_key};
///
/// let signer = SigningKey::from_seed([7; 32]);
/// let claims = ApiKeyClaims {
///     scope: ScopeClass::User, exchange: true, signing_key: [0; 3], expires: None,
///     index: StatusIndex(5), policy: PolicyNumber(1),
///     id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()),
/// };
/// let key = mint_api_key(&signer, claims, &KeyPrefix::default(), Environment::Live, &[9; 16]);
/// assert_eq!(key.expose().len(), 144);
/// assert_eq!(ParsedKey::parse(key.expose()).unwrap().unverified_claims().index, StatusIndex(5));
/// ```
pub fn mint_api_key(
    signer: &SigningKey,
    claims: ApiKeyClaims,
    prefix: &KeyPrefix,
    environment: Environment,
    entropy: &[u8; ENTROPY_LEN],
) -> SecretKeyText {
    let claims = ApiKeyClaims { signing_key: signer.kid().short(), ..claims }.to_bytes();
    let (message, len) = signed_message(prefix, environment, &claims);
    let signature = signer.sign_with_entropy(&message[..len], entropy);
    // With its room reserved, the text never moves, so that no copy is left behind unwiped.
    let mut text = Zeroizing::new(String::with_capacity(keyward_core::bounds::MAX_KEY_LEN));
    write_key(prefix, environment, &claims, &signature, &mut text);
    SecretKeyText(text)
}
