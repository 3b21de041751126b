//! Futures that are dropped before they have ended, in the ways that programs do it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::future::{Either, select};
use selkie::{timeout, yield_now};

use crate::liar::Chance;
use crate::seeds::{Tally, count};

/// Attempts that may be given up in a row: then somebody waits in earnest, or nothing would end.
const MOST_IN_A_ROW: u32 = 3;

/// Somebody who does not always wait to the end.
pub struct Fickle {
    pub chance: Chance,
    pub tally: Arc<Tally>,
    percent: u8,
    in_a_row: u32,
}

impl Fickle {
    /// Many never give up: who waits again would find what another one has missed.
    pub fn new(chance: &mut Chance, tally: &Arc<Tally>) -> Rc<RefCell<Self>> {
        let mut chance = chance.fork();
        let percent = if chance.coin() { 0 } else { 40 };
        Rc::new(RefCell::new(Self { chance, tally: tally.clone(), percent, in_a_row: 0 }))
    }
}

/// How long somebody waits.
enum Patience {
    ForEver,
    Time(Duration),
    Polls(u64),
    Yields(u64),
}

fn patience(fickle: &mut Fickle) -> Patience {
    if fickle.in_a_row >= MOST_IN_A_ROW || !fickle.chance.percent(fickle.percent) {
        return Patience::ForEver;
    }
    match fickle.chance.below(3) {
        0 => Patience::Time(Duration::from_micros(fickle.chance.below(400))),
        1 => Patience::Polls(1 + fickle.chance.below(3)),
        _ => Patience::Yields(fickle.chance.below(4)),
    }
}

/// The value of `future`, or nothing if that was given up.
pub async fn perhaps<F: Future>(fickle: &RefCell<Fickle>, future: F) -> Option<F::Output> {
    let patience = patience(&mut fickle.borrow_mut());
    let value = match patience {
        Patience::ForEver => Some(future.await),
        Patience::Time(time) => timeout(time, future).await.ok(),
        Patience::Polls(most) => polled(most, future).await,
        Patience::Yields(most) => {
            let yields = pin!(async {
                for _ in 0..most {
                    yield_now().await;
                }
            });
            match select(pin!(future), yields).await {
                Either::Left((value, _)) => Some(value),
                Either::Right(_) => None,
            }
        }
    };
    let mut fickle = fickle.borrow_mut();
    fickle.in_a_row = if value.is_some() { 0 } else { fickle.in_a_row + 1 };
    count(&fickle.tally.given_up, value.is_none().into());
    value
}

/// The value of `future`, if it has one when it is polled for the `most`th time.
async fn polled<F: Future>(most: u64, future: F) -> Option<F::Output> {
    let (mut future, mut polls) = (pin!(future), 0);
    poll_fn(|cx| {
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if polls == most => Poll::Ready(None),
            // It is not sure that anybody wakes this task again before the future is ready.
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
