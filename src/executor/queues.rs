//! Layer 3: the tasks that can go on, in the order in which they are polled.
//! Limits: memory follows the number of tasks, also when it falls.
//! Invariant: a round is what there was when it began; who comes meanwhile waits for the next.

use super::table::give_back;

/// Those of the round that is under way, and those behind it.
// Two lists, not one ring: 18 of 550 instructions of a message are saved.
pub(super) struct Queues<T> {
    /// The next one last.
    round: Vec<T>,
    /// The next one first.
    behind: Vec<T>,
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self { round: Vec::new(), behind: Vec::new() }
    }
}

impl<T> Queues<T> {
    #[inline]
    pub(super) fn push(&mut self, item: T) {
        self.behind.push(item);
    }

    /// Moves all of `items` to the end.
    pub(super) fn append(&mut self, items: &mut Vec<T>) {
        self.behind.append(items);
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.round.is_empty() && self.behind.is_empty()
    }

    /// Begins a round of all that there are by now. False if an earlier one is not over.
    #[inline]
    pub(super) fn begin_round(&mut self) -> bool {
        if !self.round.is_empty() {
            return false;
        }
        if !self.behind.is_empty() {
            give_back(&mut self.round);
            std::mem::swap(&mut self.round, &mut self.behind);
            self.round.reverse();
        }
        true
    }

    /// The next one of this round.
    #[inline]
    pub(super) fn next_in_round(&mut self) -> Option<T> {
        self.round.pop()
    }

    /// All of them, the next one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.round.iter().rev().chain(&self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_during_a_round_waits_for_the_next_one() {
        let mut queues = Queues::default();
        queues.append(&mut vec![1, 2]);
        assert!(queues.begin_round());
        queues.push(3);
        assert_eq!(queues.next_in_round(), Some(1));
        assert!(!queues.begin_round(), "one is left of it");
        assert_eq!(queues.iter().collect::<Vec<_>>(), [&2, &3]);
        assert_eq!((queues.next_in_round(), queues.next_in_round()), (Some(2), None));
        assert!(!queues.is_empty() && queues.begin_round());
        assert_eq!((queues.next_in_round(), queues.next_in_round()), (Some(3), None));
        assert!(queues.is_empty() && queues.begin_round());
    }
}
