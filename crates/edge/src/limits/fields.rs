//! What a client is told of its limits: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10),
//! `Retry-After` (RFC 9110 section 10.2.3), and where a deployment asks for them the names of before.

use keyward_api::limits::LimitKind;
use keyward_core::{
    Limits, Timestamp,
    limits::{Holder, Meter, Window},
};
use std::{borrow::Cow, fmt::Write};

/// A header.
pub type Field = (&'static str, Cow<'static, str>);

/// The quota policy's name: the member of a policy's limits.
const fn name(meter: Meter) -> &'static str {
    match meter {
        Meter::RatePerHour => "rate_per_hour",
        Meter::DailyQuota => "daily_quota",
        Meter::MonthlyQuota => "monthly_quota",
        Meter::CostCents => "cost_cents",
    }
}

/// The headers for a key with these limits; `refused`: the limit for which a request is refused.
pub fn fields(holder: &Holder, limits: &Limits, refused: Option<LimitKind>, legacy: bool, now: Timestamp) -> Vec<Field> {
    let (mut policy, mut state) = (String::new(), String::new());
    let (mut fields, mut tightest) = (Vec::new(), None::<(u64, u64, u64)>);
    for meter in Meter::ALL {
        let Some(limit) = meter.limit(limits) else { continue };
        let window = Window::at(meter.period(), now);
        let reset = window.end().since(now).div_ceil(1000);
        let unit = if meter == Meter::CostCents { ";qu=\"cents\"" } else { "" };
        let comma = if policy.is_empty() { "" } else { ", " };
        // Writing to a String can't fail.
        let _ = write!(policy, "{comma}\"{}\";q={limit}{unit};w={}", name(meter), window.end().since(window.begin()) / 1000);
        let this = refused == Some(meter.into());
        // Of a limit that refuses as much as is known; of the others nothing, as long as nothing is.
        let Some(left) = holder.left(meter).or(this.then_some(0)) else { continue };
        let comma = if state.is_empty() { "" } else { ", " };
        let _ = write!(state, "{comma}\"{}\";r={left};t={reset}", name(meter));
        if this {
            fields.push(("retry-after", reset.to_string().into()));
        }
        if this || (refused.is_none() && tightest.is_none_or(|(_, least, _)| left < least)) {
            tightest = Some((limit, left, window.end().secs()));
        }
    }
    if let Some(limit) = limits.concurrent {
        let comma = if policy.is_empty() { "" } else { ", " };
        let _ = write!(policy, "{comma}\"concurrent\";q={limit};qu=\"concurrent-requests\"");
        if refused == Some(LimitKind::Concurrent) {
            let comma = if state.is_empty() { "" } else { ", " };
            let _ = write!(state, "{comma}\"concurrent\";r=0");
            // When one ends nobody knows.
            fields.push(("retry-after", "1".into()));
        }
    }
    if !policy.is_empty() {
        fields.push(("ratelimit-policy", policy.into()));
    }
    if !state.is_empty() {
        fields.push(("ratelimit", state.into()));
    }
    if let (true, Some((limit, left, reset))) = (legacy, tightest) {
        let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
        fields.extend(names.into_iter().zip([limit, left, reset].map(|number| number.to_string().into())));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_core::limits::{Charge, Taken};

    #[test]
    fn a_refusal_names_its_limit_and_when_it_ends() {
        let now = Timestamp::from_millis(20_000 * 86_400_000 + 1_800_500);
        let limits = Limits { rate_per_hour: Some(0), daily_quota: Some(9), cost_cents: Some(5), ..Limits::default() };
        let mut holder = Holder::new(&limits, now);
        assert_eq!(holder.take(&limits, Charge::request(0), now), Taken::Refused(Meter::RatePerHour));
        let told = fields(&holder, &limits, Some(LimitKind::RatePerHour), true, now);
        let expected = [
            ("retry-after", "1800"),
            ("ratelimit-policy", r#""rate_per_hour";q=0;w=3600, "daily_quota";q=9;w=86400, "cost_cents";q=5;qu="cents";w=2678400"#),
            ("ratelimit", r#""rate_per_hour";r=0;t=1800"#),
            ("x-ratelimit-limit", "0"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1728003600"),
        ];
        assert_eq!(told.iter().map(|(name, value)| (*name, value.as_ref())).collect::<Vec<_>>(), expected);
    }
}
