#![no_main]
use keyward_core::{StatusList, bounds::MAX_STATUS_BYTES};

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    if let Ok(mut list) = StatusList::inflate(input.0, input.1) {
        assert!(list.as_bytes().len() <= MAX_STATUS_BYTES);
        let last = list.len().wrapping_sub(1);
        assert_eq!(list.set(last, 0), !list.is_empty());
        assert_eq!(list.value(list.len()), None);
    }
});
