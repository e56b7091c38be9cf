//! Keys admitted by few and cheap calls: for a host that sees the same keys over and over.
//!
//! A call between JavaScript and WebAssembly is cheap where it passes numbers, and dear where it passes strings or
//! objects. So `js/gate.js` writes a key's text into a buffer here, and calls with its length; and from then on it knows
//! the text by itself, and calls with the place at which stands here what the text says.

use keyward_core::{AuthenticKey, Environment, ParsedKey, Reason, Refusal, Verifier};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{KeySet, StatusLists, VerifiedKey, error::moment};

/// Keys that are known at a time. The one that has been known for longest makes room.
const KNOWN: usize = 8192;

/// The most bytes that the text of a key has here: characters are not looked at before, and one can have three.
const CAPACITY: usize = 3 * keyward_core::bounds::MAX_KEY_LEN;

/// The half of a `Gate` that decides; use `Gate` of `gate.js`.
#[wasm_bindgen]
pub struct KeyGate {
    keys: KeySet,
    statuses: StatusLists,
    environment: Environment,
    buffer: Vec<u8>,
    known: Vec<AuthenticKey>,
    /// The place of the key that was met last.
    place: usize,
    admitted: Option<keyward_core::VerifiedKey>,
}

#[wasm_bindgen]
impl KeyGate {
    /// A gate for keys of one environment. Both the keys and the lists are its own from now on.
    ///
    /// @throws {KeywardError} `argument` where the environment is neither `live` nor `test`
    #[wasm_bindgen(constructor)]
    pub fn new(
        keys: KeySet,
        #[wasm_bindgen(unchecked_param_type = "\"live\" | \"test\"")] environment: &str,
        statuses: StatusLists,
    ) -> Result<KeyGate, JsValue> {
        let environment = crate::keys::environment(environment)?;
        Ok(Self { keys, statuses, environment, buffer: vec![0; CAPACITY], known: Vec::new(), place: KNOWN - 1, admitted: None })
    }

    /// Takes another key set, and forgets which signatures held by the old one.
    #[wasm_bindgen(js_name = useKeys)]
    pub fn use_keys(&mut self, keys: KeySet) {
        self.keys = keys;
        self.known.clear();
        self.place = KNOWN - 1;
        self.admitted = None;
    }

    /// Adds a published status list, in the place of an older one; see `StatusLists.add`.
    ///
    /// @throws {KeywardError} `status_list`
    #[wasm_bindgen(js_name = addStatusList)]
    pub fn add_status_list(&mut self, number: u32, text: &str, now: f64) -> Result<(), JsValue> {
        self.statuses.add(number, text, &self.keys, now)
    }

    /// Where the buffer begins.
    #[wasm_bindgen(getter)]
    pub fn address(&self) -> u32 {
        self.buffer.as_ptr() as u32
    }

    /// How long it is, in bytes.
    #[wasm_bindgen(getter)]
    pub fn capacity(&self) -> u32 {
        CAPACITY as u32
    }

    /// Whether the key whose text is the first `len` bytes of the buffer holds now: 0, or the number of the reason why
    /// it doesn't, for `reasonCode`. One that holds is known from now on, at `place`.
    pub fn admit(&mut self, len: u32, now: f64) -> u32 {
        let met = self.meet(len as usize, now);
        self.answer(met)
    }

    /// The same of a key that is known: its signature has been found to hold; status and time are looked at anew.
    #[wasm_bindgen(js_name = admitKnown)]
    pub fn admit_known(&mut self, place: u32, now: f64) -> u32 {
        let known = self.known.get(place as usize).ok_or(Reason::Malformed).and_then(|key| self.standing(key, now));
        self.answer(known)
    }

    /// The place of the key that was met last.
    #[wasm_bindgen(getter)]
    pub fn place(&self) -> u32 {
        self.place as u32
    }

    /// The key that was admitted last; `undefined` where the last one was refused.
    #[wasm_bindgen(getter)]
    pub fn admitted(&self) -> Option<VerifiedKey> {
        self.admitted.map(VerifiedKey)
    }
}

impl KeyGate {
    fn meet(&mut self, len: usize, now: f64) -> Result<keyward_core::VerifiedKey, Reason> {
        let text = self.buffer.get(..len).and_then(|text| std::str::from_utf8(text).ok()).ok_or(Reason::Malformed)?;
        let parsed = ParsedKey::parse(text)?;
        let authentic = self.verifier().authenticate(&parsed, time(now)?).map_err(Refusal::reason)?;
        let verified = self.standing(&authentic, now)?;
        self.place = (self.place + 1) % KNOWN;
        match self.known.get_mut(self.place) {
            Some(former) => *former = authentic,
            None => self.known.push(authentic),
        }
        Ok(verified)
    }

    fn standing(&self, key: &AuthenticKey, now: f64) -> Result<keyward_core::VerifiedKey, Reason> {
        self.verifier().admit(key, time(now)?).map_err(Refusal::reason)
    }

    fn verifier(&self) -> Verifier<'_, StatusLists> {
        Verifier::new(&self.keys.set, &self.statuses, self.environment).with_signatures(&self.keys.signatures)
    }

    fn answer(&mut self, admitted: Result<keyward_core::VerifiedKey, Reason>) -> u32 {
        self.admitted = admitted.ok();
        admitted.map_or_else(number, |_| 0)
    }
}

/// A time that is none is no time at which anything holds.
fn time(now: f64) -> Result<keyward_core::Timestamp, Reason> {
    moment(now).map_err(|_| Reason::StateUnavailable)
}

fn number(reason: Reason) -> u32 {
    reason.number() as u32 + 1
}

/// The stable code of a reason that `admit` gave the number of; `undefined` for 0.
#[wasm_bindgen(js_name = reasonCode)]
pub fn reason_code(number: u32) -> Option<String> {
    let at = (number as usize).checked_sub(1)?;
    Reason::ALL.get(at).map(|reason| reason.code().to_owned())
}

/// The number of the reason for texts that are no keys.
#[wasm_bindgen(js_name = malformed)]
pub fn malformed() -> u32 {
    number(Reason::Malformed)
}

/// The memory that buffers are in. (The module itself exports one by the name of `memory`.)
#[wasm_bindgen(js_name = wasmMemory)]
pub fn memory() -> js_sys::Object {
    wasm_bindgen::memory().into()
}
