#![no_main]
use keyward_core::{Capability, DomainPattern, Network};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(network) = Network::parse(text) {
        assert_eq!(Network::parse(&network.to_string()), Ok(network));
    }
    if let Ok(capability) = Capability::parse(text) {
        assert_eq!(capability.as_str(), text);
    }
    if let Some(domain) = DomainPattern::parse(text) {
        assert_eq!(domain.as_str(), text);
    }
});
