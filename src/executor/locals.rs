//! Layer 3: values that belong to a runtime, by their type.
//! Invariant: no constructor and no destructor of a value runs under a borrow.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::panics::FirstPanic;

/// What a builder was given for those who use its runtime.
#[derive(Clone, Default)]
pub(crate) struct Settings(Vec<Arc<dyn Any + Send + Sync>>);

impl Settings {
    /// Adds a value; the last one of a type is the one that counts.
    pub(crate) fn add<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.push(Arc::new(value));
    }
}

/// The values of one runtime.
pub(crate) struct Locals {
    settings: Settings,
    /// In the order of their making; the last one goes first.
    values: RefCell<Vec<(TypeId, Rc<dyn Any>)>>,
}

impl Locals {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, values: RefCell::default() }
    }

    /// The setting of type `T`.
    pub(crate) fn setting<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.settings.0.iter().rev().find_map(|value| Arc::clone(value).downcast().ok())
    }

    /// The value of type `T`, if it was made.
    fn get<T: 'static>(&self) -> Option<Rc<T>> {
        let values = self.values.borrow();
        let (_, value) = values.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        Rc::clone(value).downcast().ok()
    }

    /// The value of type `T`; made by `init` at the first call.
    pub(crate) fn get_or_init<T: 'static>(&self, init: impl FnOnce() -> T) -> Rc<T> {
        if let Some(value) = self.get() {
            return value;
        }
        let value = Rc::new(init());
        // `init` may have asked for the same type: the first value stays.
        if let Some(first) = self.get() {
            return first;
        }
        self.values.borrow_mut().push((TypeId::of::<T>(), Rc::clone(&value) as Rc<dyn Any>));
        value
    }

    /// Drops the values, the last one first, the others too if a destructor panics.
    pub(crate) fn clear(&self, panics: &mut FirstPanic) {
        loop {
            let last = self.values.borrow_mut().pop();
            if last.is_none() {
                break;
            }
            panics.watch(|| drop(last));
        }
    }
}
