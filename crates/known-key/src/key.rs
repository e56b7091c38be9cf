//! The equation, and the tables that it is solved with.

use crate::{
    Backend, Fastest, KeyError, Width,
    encoding::{BASE_POINT, decompress, is_small_order},
    field::Field,
    point::Niels,
    scalar::{Digits, challenge, is_below_order},
    table::{Table, TableBuilder},
};
use alloc::sync::Arc;
use core::fmt;

/// A public key with its table: about 170 KB for [`Width::W6`] and 500 KB for [`Width::W8`]. That of the base point, which
/// all keys share, takes 500 KB.
pub struct PreparedKey<B: Backend = Fastest> {
    bytes: [u8; 32],
    base: Base<B>,
    /// Multiples of -A.
    table: Table<B::Entry>,
}

/// The table of the base point. Cloning it is cheap.
pub struct Base<B: Backend = Fastest>(Arc<Table<B::Entry>>);

impl<B: Backend> Clone for Base<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Backend> fmt::Debug for Base<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").finish_non_exhaustive()
    }
}

impl<B: Backend> PreparedKey<B> {
    /// A key prepared in one go; see [`Builder`] for doing it bit by bit.
    ///
    /// # Errors
    /// Where the 32 bytes are not the canonical encoding of a point, or of one of small order.
    pub fn new(bytes: &[u8; 32], width: Width) -> Result<Self, KeyError> {
        Ok(Builder::<B>::new(bytes, width)?.finish())
    }

    /// The public key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The base point's table, for the next key.
    pub const fn base(&self) -> &Base<B> {
        &self.base
    }

    /// The bytes of memory that its own table takes.
    pub const fn size(&self) -> usize {
        self.table.size()
    }

    /// Whether `signature` is this key's over `message`: exactly when `ed25519-dalek`'s `verify_strict` says so.
    ///
    /// RFC 8032 section 5.1.7 without the cofactor: s is below the group order, R is not of small order, and
    /// `sB - kA` encodes to R's bytes. No R needs to be decoded: one that is no point, or not canonical, equals no
    /// encoding.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let (r, s) = halves(signature);
        if !is_below_order(s) || is_small_order(r) {
            return false;
        }
        let s = Digits::new(s, Width::BASE);
        let k = Digits::new(&challenge(r, &self.bytes, message), self.table.width());
        B::sum(&self.base.0, &s, &self.table, &k) == *r
    }
}

fn halves(signature: &[u8; 64]) -> (&[u8; 32], &[u8; 32]) {
    let (r, s) = signature.split_at(32);
    (r.try_into().expect("32 of 64 bytes"), s.try_into().expect("the other 32"))
}

impl<B: Backend> fmt::Debug for PreparedKey<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedKey").field("bytes", &self.bytes).field("width", &self.table.width()).finish()
    }
}

/// A key whose tables are in the making, so that no request has to wait for all of them.
pub struct Builder<B: Backend = Fastest> {
    bytes: [u8; 32],
    base: BaseTable<B::Field, B::Entry>,
    key: TableBuilder<B::Field, B::Entry>,
}

impl<B: Backend> fmt::Debug for Builder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

enum BaseTable<F, E> {
    InTheMaking(TableBuilder<F, E>),
    Ready(Arc<Table<E>>),
}

impl<B: Backend> Builder<B> {
    /// Begins the tables of this key and of the base point.
    ///
    /// # Errors
    /// Where the 32 bytes are not the canonical encoding of a point, or of one of small order.
    pub fn new(bytes: &[u8; 32], width: Width) -> Result<Self, KeyError> {
        let key = key_table(bytes, width)?;
        let base = BaseTable::InTheMaking(TableBuilder::new(decompress(&BASE_POINT)?, Width::BASE));
        Ok(Self { bytes: *bytes, base, key })
    }

    /// Begins the table of this key alone.
    ///
    /// # Errors
    /// Where the 32 bytes are not the canonical encoding of a point, or of one of small order.
    pub fn sharing(bytes: &[u8; 32], width: Width, base: &Base<B>) -> Result<Self, KeyError> {
        let key = key_table(bytes, width)?;
        Ok(Self { bytes: *bytes, base: BaseTable::Ready(Arc::clone(&base.0)), key })
    }

    /// Fills more positions of the tables: one at least, and as many as take no more than `additions` additions of points
    /// (a table has 42 positions at `W6`, of 32 additions each; 32 at `W8`, of 128). True once all are filled.
    pub fn step(&mut self, additions: usize) -> bool {
        let mut taken = 0;
        while taken == 0 || taken < additions {
            taken += match &mut self.base {
                BaseTable::InTheMaking(base) if !base.is_complete() => base.step(),
                _ if !self.key.is_complete() => self.key.step(),
                _ => return true,
            };
        }
        self.is_complete()
    }

    fn is_complete(&self) -> bool {
        let base = match &self.base {
            BaseTable::InTheMaking(base) => base.is_complete(),
            BaseTable::Ready(_) => true,
        };
        base && self.key.is_complete()
    }

    /// The prepared key. Fills what [`Self::step`] has left.
    pub fn finish(self) -> PreparedKey<B> {
        let base = match self.base {
            BaseTable::InTheMaking(base) => Arc::new(base.finish()),
            BaseTable::Ready(base) => base,
        };
        PreparedKey { bytes: self.bytes, base: Base(base), table: self.key.finish() }
    }
}

/// Begins the table of -A.
fn key_table<F: Field, E: From<Niels<F>>>(bytes: &[u8; 32], width: Width) -> Result<TableBuilder<F, E>, KeyError> {
    let (x, y) = decompress::<F>(bytes)?;
    Ok(TableBuilder::new(((F::ZERO - x) * F::ONE, y), width))
}
