//! Which keys a list has: a request's filter, checked and turned into what statements compare with.

use keyward_api::lists::KeyFilter;
use keyward_core::{Capability, ScopeClass, Timestamp};
use sqlx::types::Uuid;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::terms::Checks;
use crate::{
    auth::Caller,
    clock::{datetime, expiry},
    error::Result,
};

/// Characters of a text to search for: an index of three-letter pieces knows nothing shorter.
const SEARCH: std::ops::RangeInclusive<usize> = 3..=128;

/// What a key has to be. `None` admits all.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The moment for which statuses are asked.
    pub now: OffsetDateTime,
    pub owner: Option<String>,
    pub status: Option<&'static str>,
    pub scope: Option<i16>,
    /// Lower case.
    pub text: Option<String>,
    /// Any of these.
    pub capabilities: Option<Vec<String>>,
    /// That signed the current raw key: the first three bytes of its name.
    pub signing_key: Option<[u8; 3]>,
    /// After the first moment and up to the second; never is in the range where that ends with it.
    pub ends: (OffsetDateTime, OffsetDateTime),
    /// Between these, without them. Ids are of UUIDv7, so that they say when a key was created.
    pub ids: (Uuid, Uuid),
    /// Not used after this moment; 1970 for never.
    pub unused_since: Option<OffsetDateTime>,
    /// Whether `ends` is narrower than all of time; likewise `ids`.
    pub expiring: bool,
    pub dated: bool,
}

impl Filter {
    /// The filter that a caller asks for; `None` where it can meet nothing: a caller of user scope sees its owner's
    /// alone, and asking for another's finds none.
    ///
    /// # Errors
    /// `validation_failed`, with every member that is wrong.
    pub fn new(request: &KeyFilter, caller: &Caller, now: Timestamp) -> Result<Option<Self>> {
        let mut checks = Checks::default();
        if let Some(owner) = &request.owner_id {
            checks.owner(owner);
        }
        if let Some(text) = &request.search
            && (!SEARCH.contains(&text.chars().count()) || text.chars().any(char::is_control))
        {
            checks.refuse("search", format!("{} to {} characters, none of them a control character", SEARCH.start(), SEARCH.end()));
        }
        let capabilities = request.capability.as_deref().and_then(|text| match Capability::parse(text) {
            Ok(capability) => Some(vec![capability.to_string(), format!("{}:*", capability.resource())]),
            Err(error) => {
                checks.refuse("capability", error);
                None
            }
        });
        let now = datetime(now);
        let end_of_time = expiry(Some(u32::MAX)).unwrap_or(now);
        let ends = request.expiring_within_days.map(|days| {
            checks.days("expiring_within_days", days);
            (now, now.checked_add(Duration::days(days.into())).unwrap_or(end_of_time))
        });
        let unused = request.unused_for_days.map(|days| {
            checks.days("unused_for_days", days);
            now.checked_sub(Duration::days(days.into())).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        });
        let mut moment = |field: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            let parsed = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(millis);
            if parsed.is_none() {
                checks.refuse(field, "a moment as RFC 3339 writes it");
            }
            parsed
        };
        let (after, before) = (moment("created_after", &request.created_after), moment("created_before", &request.created_before));
        checks.finish(())?;
        // What is younger has had no time to go unused.
        let before = [before, unused.and_then(millis)].into_iter().flatten().min();
        let never = request.never_used.unwrap_or(false).then_some(OffsetDateTime::UNIX_EPOCH);
        let owner = match (caller.scope(), request.owner_id.clone()) {
            (ScopeClass::User, Some(other)) if other != caller.owner() => return Ok(None),
            (ScopeClass::User, _) => Some(caller.owner().to_owned()),
            (_, owner) => owner,
        };
        Ok(Some(Self {
            now,
            owner,
            status: request.status.map(|status| status.as_str()),
            scope: request.scope.map(|scope| scope as i16),
            text: request.search.as_ref().map(|text| text.to_lowercase()),
            capabilities,
            signing_key: request.signing_key.map(|kid| kid.short()),
            ends: ends.unwrap_or((OffsetDateTime::UNIX_EPOCH, end_of_time)),
            ids: (after.map_or(Uuid::nil(), last_before), before.map_or(Uuid::max(), first_at)),
            unused_since: never.or(unused),
            expiring: ends.is_some(),
            dated: after.or(before).is_some(),
        }))
    }

    /// The text as a pattern for LIKE, where an index of three-letter pieces can find it: where it has three letters or
    /// digits of ASCII in a row. (In the locale C no others count as letters.)
    pub fn pattern(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        let mut runs = text.split(|char: char| !char.is_ascii_alphanumeric());
        if runs.all(|run| run.len() < 3) {
            return None;
        }
        let mut pattern = String::from("%");
        for char in text.chars() {
            if matches!(char, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(char);
        }
        Some(pattern + "%")
    }
}

/// Whole milliseconds, rounded up: no key was created in between. `None` outside of what an id can say.
fn millis(moment: OffsetDateTime) -> Option<u64> {
    let nanos = u128::try_from(moment.unix_timestamp_nanos()).ok()?;
    u64::try_from(nanos.div_ceil(1_000_000)).ok().filter(|millis| *millis < 1 << 48)
}

/// An id below all of that moment.
fn first_at(millis: u64) -> Uuid {
    Uuid::from_u128(u128::from(millis) << 80)
}

/// An id above all of before that moment, and below all of it.
fn last_before(millis: u64) -> Uuid {
    Uuid::from_u128((u128::from(millis) << 80).saturating_sub(1))
}
