//! All verifiers side by side.

use ed25519_dalek::{Signature, VerifyingKey};
use keyward_known_key::{Backend, Base, Builder, Native64, Portable, PreparedKey, Width};
use std::cell::OnceCell;

type Verdict = Box<dyn Fn(&[u8], &[u8; 64]) -> bool>;
type Ours = (&'static str, Verdict);

/// The backends that a long campaign tries in this build, each twice as often as it stands here, at either width: the one
/// that the build is for, and natively, where there is time, the one for 32 bits as well.
const IN_TURN: &[&str] = if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) {
    &["simd128"]
} else if cfg!(target_arch = "wasm32") {
    &["portable"]
} else {
    &["native64", "native64", "native64", "portable"]
};

/// The reference and ours, for one public key.
pub(crate) struct Verifiers {
    reference: VerifyingKey,
    ours: Vec<Ours>,
}

impl Verifiers {
    /// All backends at both widths; `None` for 32 bytes that none of them prepares, nor the reference admits.
    pub(crate) fn all(key: &[u8; 32]) -> Option<Self> {
        Self::at(key, &[Width::W6, Width::W8])
    }

    /// All backends at the width whose tables are built faster.
    pub(crate) fn narrow(key: &[u8; 32]) -> Option<Self> {
        Self::at(key, &[Width::W6])
    }

    fn at(key: &[u8; 32], widths: &[Width]) -> Option<Self> {
        let mut ours: Vec<(&str, Option<Verdict>)> = Vec::new();
        for width in widths {
            ours.push(("portable", BASES.with(|bases| verdict(&bases.portable, key, *width))));
            ours.push(("native64", BASES.with(|bases| verdict(&bases.native64, key, *width))));
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            ours.push(("simd128", BASES.with(|bases| verdict(&bases.simd128, key, *width))));
        }
        let reference = reference(key);
        for (name, verdict) in &ours {
            assert_eq!(verdict.is_some(), reference.is_some(), "whether {name} admits {key:02x?}");
        }
        let ours = ours.into_iter().filter_map(|(name, verdict)| Some((name, verdict?))).collect();
        Some(Self { reference: reference?, ours })
    }

    /// What all of them say.
    pub(crate) fn agree(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.compare(self.ours.iter(), message, signature)
    }

    /// What the reference and one of ours say, which turn by turn is another one.
    pub(crate) fn agree_in_turn(&self, turn: usize, message: &[u8], signature: &[u8; 64]) -> bool {
        let name = IN_TURN[turn / 2 % IN_TURN.len()];
        let width = self.ours.iter().filter(|(backend, _)| *backend == name).nth(turn % 2);
        self.compare(width.into_iter(), message, signature)
    }

    fn compare<'a>(&self, ours: impl ExactSizeIterator<Item = &'a Ours>, message: &[u8], signature: &[u8; 64]) -> bool {
        let expected = self.reference.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
        assert!(ours.len() > 0, "there is something to compare it with");
        for (name, verdict) in ours {
            let key = self.reference.as_bytes();
            assert_eq!(verdict(message, signature), expected, "{name}: {key:02x?} {message:02x?} {signature:02x?}");
        }
        expected
    }
}

/// The key as the reference takes it; `None` where it is weak or not canonical, which Keyward never admits.
fn reference(key: &[u8; 32]) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    let canonical = key.to_edwards().compress().to_bytes() == key.to_bytes();
    (canonical && !key.is_weak()).then_some(key)
}

/// The base point's table of one backend.
type BaseTable<B> = OnceCell<Base<B>>;

#[derive(Default)]
struct Bases {
    portable: BaseTable<Portable>,
    native64: BaseTable<Native64>,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    simd128: BaseTable<keyward_known_key::Simd128>,
}

thread_local! {
    static BASES: Bases = Bases::default();
}

fn verdict<B: Backend + 'static>(base: &BaseTable<B>, key: &[u8; 32], width: Width) -> Option<Verdict> {
    let builder = match base.get() {
        Some(base) => Builder::sharing(key, width, base),
        None => Builder::new(key, width),
    };
    let prepared: PreparedKey<B> = builder.ok()?.finish();
    let _ = base.set(prepared.base().clone());
    Some(Box::new(move |message, signature| prepared.verifies(message, signature)))
}
