//! `tracing`: user spans are inside the span of the right task, and turns are events.
//!
//! In a program of their own, one after the other: `tracing` keeps for all threads which events
//! somebody wants to have.

use std::sync::{Arc, Mutex, PoisonError};

use selkie::{Runtime, yield_now};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

static ONE_BY_ONE: Mutex<()> = Mutex::new(());

/// Writes down where each event was, as `task 1 one > work`.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Fields(Vec<String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if ["id", "name", "message"].contains(&field.name()) {
            self.0.push(format!("{value:?}").trim_matches('"').to_owned());
        }
    }
}

struct Title(String);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Notes {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut title = vec![attributes.metadata().name().to_owned()];
        title.append(&mut fields.0);
        let span = context.span(id).unwrap();
        span.extensions_mut().insert(Title(title.join(" ")));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let scope = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let mut path: Vec<_> = scope
            .map(|span| span.extensions().get::<Title>().expect("it has one").0.clone())
            .collect();
        path.append(&mut fields.0);
        self.0.lock().unwrap().push(path.join(" > "));
    }
}

async fn work(what: &'static str) {
    let span = tracing::info_span!("work");
    tracing::info!(parent: &span, "{what} begins");
    for _ in 0..2 {
        yield_now().await;
        span.in_scope(|| tracing::info!("{what} goes on"));
    }
}

#[test]
fn spans_of_the_user_are_inside_the_task_that_they_were_made_in() {
    let _alone = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let notes = Notes::default();
    let subscriber = tracing_subscriber::registry().with(notes.clone());
    tracing::subscriber::with_default(subscriber, || {
        let runtime = Runtime::new().unwrap();
        let one = runtime.spawn_named("one", work("one"));
        let two = runtime.spawn(work("two"));
        runtime.block_on(async {
            one.await;
            two.await;
            tracing::info!("the end");
        });
        tracing::info!("outside");
    });
    let mut notes = notes.0.lock().unwrap().clone();
    let turns = notes.len();
    notes.retain(|note| note != "turn");
    assert!(turns > notes.len(), "turns are told");
    let expected = [
        "task 1 one > work > one begins",
        "task 2 > work > two begins",
        "task 1 one > work > one goes on",
        "task 2 > work > two goes on",
        "task 1 one > work > one goes on",
        "task 2 > work > two goes on",
        "task 0 > the end",
        "outside",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn a_root_that_panics_leaves_its_span() {
    let _alone = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let notes = Notes::default();
    let subscriber = tracing_subscriber::registry().with(notes.clone());
    tracing::subscriber::with_default(subscriber, || {
        let root = || selkie::block_on(async { panic!("on purpose") });
        std::panic::catch_unwind(root).unwrap_err();
        tracing::info!("outside");
    });
    assert_eq!(notes.0.lock().unwrap().last().unwrap(), "outside");
}
