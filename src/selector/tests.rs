//! What a selector keeps for the batches that are being walked.

use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{DefaultSelector, Events};

fn select(selector: &mut DefaultSelector<UnixStream>, events: &mut Events) -> usize {
    selector.select(events, Some(Duration::ZERO)).expect("nothing is wrong");
    selector.batches.len()
}

#[test]
fn batches_that_nobody_has_any_more_are_not_kept() {
    let mut selector = DefaultSelector::new().expect("descriptors to spare");
    let mut kept = Events::with_capacity(NonZeroUsize::MIN);
    for _ in 0..10 {
        select(&mut selector, &mut kept);
        let followed = select(&mut selector, &mut Events::with_capacity(NonZeroUsize::MIN));
        assert_eq!(followed, 2);
    }
    assert_eq!(select(&mut selector, &mut kept), 1);
}

#[test]
fn a_batch_that_another_selector_has_taken_is_not_kept() {
    let mut selectors = [(); 2].map(|()| DefaultSelector::new().expect("descriptors to spare"));
    let mut shared = Events::with_capacity(NonZeroUsize::MIN);
    let mut own = Events::with_capacity(NonZeroUsize::MIN);
    for selector in &mut selectors {
        select(selector, &mut shared);
    }
    assert_eq!(select(&mut selectors[0], &mut own), 1);
}
