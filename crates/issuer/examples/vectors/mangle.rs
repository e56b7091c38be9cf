//! All the ways to spoil a signed object. Most are signed by the right key, so that nothing but the rule in question
//! stands between them and being taken.

use crate::world::signer;
use keyward_core::codec::base64url;
use serde_json::Value;

/// What a kind of signed object looks like when it is right.
pub(crate) struct Sound {
    pub(crate) typ: &'static str,
    /// The name of the key that signs it.
    pub(crate) signer: &'static str,
    pub(crate) payload: Value,
    /// The name of a number in the payload.
    pub(crate) number: &'static str,
    /// The longest text that is read.
    pub(crate) max_len: usize,
}

/// A spoiled text: what was done to it, the text, and the error.
pub(crate) struct Spoiled {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) error: &'static str,
}

/// A compact JWS with any header over any payload.
pub(crate) fn jws(signing: &str, header: &str, payload: &[u8]) -> String {
    use ed25519_dalek::Signer;
    let input = format!("{}.{}", base64url(header.as_bytes()), base64url(payload));
    let signature = ed25519_dalek::SigningKey::from_bytes(&signer(signing).seed()).sign(input.as_bytes());
    format!("{input}.{}", base64url(&signature.to_bytes()))
}

impl Sound {
    fn header(&self) -> String {
        format!(r#"{{"alg":"EdDSA","typ":"{}","kid":"{}"}}"#, self.typ, signer(self.signer).kid())
    }

    fn with_header(&self, header: &str) -> String {
        let header = header.replace("TYP", self.typ).replace("KID", &signer(self.signer).kid().to_string());
        jws(self.signer, &header, self.payload.to_string().as_bytes())
    }

    fn with_payload(&self, payload: &str) -> String {
        jws(self.signer, &self.header(), payload.as_bytes())
    }

    /// The text as it has to be.
    pub(crate) fn text(&self) -> String {
        self.with_payload(&self.payload.to_string())
    }

    /// With the name `alg` that RFC 9864 gives the same algorithm: to be taken.
    pub(crate) fn with_new_alg(&self) -> String {
        self.with_header(r#"{"alg":"Ed25519","typ":"TYP","kid":"KID"}"#)
    }

    fn with_member(&self, name: &str, value: Option<Value>) -> String {
        let mut payload = self.payload.clone();
        match (payload.as_object_mut(), value) {
            (Some(members), Some(value)) => drop(members.insert(name.into(), value)),
            (Some(members), None) => drop(members.remove(name)),
            _ => unreachable!("every payload is an object"),
        }
        self.with_payload(&payload.to_string())
    }

    pub(crate) fn spoiled(&self) -> Vec<Spoiled> {
        let (sound, payload) = (self.text(), self.payload.to_string());
        let parts: Vec<&str> = sound.split('.').collect();
        let [head, body, signature] = [parts[0], parts[1], parts[2]];
        let header_cases = [
            ("alg none", r#"{"alg":"none","typ":"TYP","kid":"KID"}"#, "Algorithm"),
            ("alg HS256", r#"{"alg":"HS256","typ":"TYP","kid":"KID"}"#, "Algorithm"),
            ("alg in other letters", r#"{"alg":"EDDSA","typ":"TYP","kid":"KID"}"#, "Algorithm"),
            ("no alg", r#"{"typ":"TYP","kid":"KID"}"#, "Header"),
            ("another typ", r#"{"alg":"EdDSA","typ":"JWT","kid":"KID"}"#, "Type"),
            ("typ with a media type's prefix", r#"{"alg":"EdDSA","typ":"application/TYP","kid":"KID"}"#, "Type"),
            ("no typ", r#"{"alg":"EdDSA","kid":"KID"}"#, "Header"),
            ("no kid", r#"{"alg":"EdDSA","typ":"TYP"}"#, "Header"),
            ("a kid that is no thumbprint", r#"{"alg":"EdDSA","typ":"TYP","kid":"1"}"#, "Header"),
            ("crit", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID","crit":["exp"]}"#, "Header"),
            ("crit that is empty", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID","crit":[]}"#, "Header"),
            ("an unencoded payload (b64)", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID","b64":false}"#, "Header"),
            ("an embedded key (jwk)", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID","jwk":{"kty":"OKP","crv":"Ed25519","x":"KID"}}"#, "Header"),
            ("a key elsewhere (jku)", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID","jku":"https://example.com/"}"#, "Header"),
            ("a certificate (x5c)", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID","x5c":[]}"#, "Header"),
            ("a header member twice", r#"{"alg":"none","alg":"EdDSA","typ":"TYP","kid":"KID"}"#, "Header"),
            ("a header member twice, once escaped", r#"{"\u0061lg":"none","alg":"EdDSA","typ":"TYP","kid":"KID"}"#, "Header"),
            ("an escaped header value", r#"{"alg":"\u0045dDSA","typ":"TYP","kid":"KID"}"#, "Header"),
            ("a header in a list", r#"["EdDSA","TYP","KID"]"#, "Header"),
            ("a header with something after it", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID"}{}"#, "Header"),
            ("a header that is no JSON", r#"{"alg":"EdDSA","typ":"TYP","kid":"KID""#, "Header"),
            ("an empty header", "", "Header"),
        ];
        let mut spoiled: Vec<Spoiled> =
            header_cases.into_iter().map(|(name, header, error)| Spoiled { name, text: self.with_header(header), error }).collect();
        let first = payload.find(',').expect("a payload of two members or more");
        let repeated = format!("{{{},{}", &payload[1..first], &payload[1..]);
        let number = |text: &str| {
            let value = &self.payload[self.number];
            payload.replace(&format!(r#""{}":{value}"#, self.number), &format!(r#""{}":{text}"#, self.number))
        };
        let mut push = |name, text, error| spoiled.push(Spoiled { name, text, error });
        push("a payload member twice", self.with_payload(&repeated), "Payload");
        push("an unknown payload member", self.with_member("extra", Some(1.into())), "Payload");
        push("a payload member missing", self.with_member(self.number, None), "Payload");
        push("a payload member null", self.with_payload(&number("null")), "Payload");
        push("a number as a string", self.with_payload(&number("\"1\"")), "Payload");
        push("a negative number", self.with_payload(&number("-1")), "Payload");
        push("a fraction", self.with_payload(&number("1.5")), "Payload");
        push("a number with an exponent", self.with_payload(&number("1e1")), "Payload");
        push("a number beyond 64 bits", self.with_payload(&number("18446744073709551616")), "Payload");
        push("a payload in a list", self.with_payload(&format!("[{payload}]")), "Payload");
        push("a payload with something after it", self.with_payload(&format!("{payload}0")), "Payload");
        push("an empty payload", self.with_payload(""), "Payload");
        push("padding after the header", format!("{head}=.{body}.{signature}"), "Encoding");
        push("padding after the signature", format!("{sound}=="), "Encoding");
        push("stray bits at the end of the signature", format!("{}{}", &sound[..sound.len() - 1], next_digit(&sound)), "Encoding");
        push("base64 of the other alphabet", format!("{head}.{body}.{}+", &signature[..signature.len() - 1]), "Encoding");
        push("a space before it", format!(" {sound}"), "Encoding");
        push("a line break after it", format!("{sound}\n"), "Encoding");
        push("nothing", String::new(), "Encoding");
        push("two parts", format!("{head}.{body}"), "Encoding");
        push("no signature", format!("{head}.{body}."), "Encoding");
        push("JSON serialisation", format!(r#"{{"payload":"{body}","protected":"{head}","signature":"{signature}"}}"#), "Encoding");
        push("four parts", format!("{head}.{body}.{body}.{signature}"), "Signature");
        push("a signature over another payload", format!("{head}.{}.{signature}", base64url(b"{}")), "Signature");
        push("a changed byte in the signature", format!("{head}.{body}.{}", flip(signature)), "Signature");
        push("a signature of zeros", format!("{head}.{body}.{}", base64url(&[0; 64])), "Signature");
        push("a signature with S above the group order", format!("{head}.{body}.{}", add_order(signature)), "Signature");
        push("longer than its kind may be", format!("{head}.{}.{signature}", "A".repeat(self.max_len)), "TooLong");
        spoiled
    }

    /// Rightly signed by keys that may not sign this kind: the reader knows some of them, for something else.
    pub(crate) fn by_others(&self) -> Vec<(String, String)> {
        let names = ["api", "token", "policy", "feed", "audit", "root", "nobody"];
        names
            .into_iter()
            .filter(|name| *name != self.signer)
            .map(|name| (format!("signed by the key: {name}"), self.signed_by(name)))
            .collect()
    }

    pub(crate) fn signed_by(&self, name: &str) -> String {
        let header = format!(r#"{{"alg":"EdDSA","typ":"{}","kid":"{}"}}"#, self.typ, signer(name).kid());
        jws(name, &header, self.payload.to_string().as_bytes())
    }
}

/// The last digit of a signature carries four bits that have to be zero: the digit after it sets one of them.
fn next_digit(text: &str) -> char {
    text.chars().next_back().map_or('B', |last| char::from(last as u8 + 1))
}

fn flip(signature: &str) -> String {
    let mut bytes = decode(signature);
    bytes[40] ^= 1;
    base64url(&bytes)
}

/// The same signature with the group order (RFC 8032 section 5.1) added to S: it holds for verifiers that don't reduce.
fn add_order(signature: &str) -> String {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0x10,
    ];
    let mut bytes = decode(signature);
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    base64url(&bytes)
}

fn decode(signature: &str) -> [u8; 64] {
    keyward_core::codec::decode_base64url_exact(signature).expect("a signature")
}
