#![no_main]
use keyward_core::{EndpointPattern, NormalPath, RouteTable};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(path) = NormalPath::parse(text) {
        assert_eq!(NormalPath::parse(path.as_str()), Ok(path.clone()));
    }
    if let Ok(pattern) = EndpointPattern::parse(text) {
        assert_eq!(EndpointPattern::parse(&pattern.to_string()), Ok(pattern));
    }
    let _ = RouteTable::parse(text);
});
