//! Layer 6: which task awaits which. Each is awaited by one at most, so they make trees, and
//! circles with trees on them.
//! Limits: linear time, and no recursion: a chain of tasks may be long.

use std::collections::{HashMap, HashSet};

use crate::task::TaskId;

/// The tasks by their places in a list.
pub(super) struct Forest {
    ids: Vec<TaskId>,
    /// The place of the task that awaits this one.
    above: Vec<Option<usize>>,
}

/// How far a walk up has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// By the walk with this number.
    Seen(usize),
}

impl Forest {
    /// Of the tasks with these ids, each with that of the one that awaits it.
    pub(super) fn of(tasks: impl Iterator<Item = (TaskId, Option<TaskId>)>) -> Self {
        let (ids, awaited_by): (Vec<_>, Vec<_>) = tasks.unzip();
        let places: HashMap<_, _> = ids.iter().enumerate().map(|(place, id)| (id, place)).collect();
        let above = awaited_by.into_iter().map(|by| places.get(&by?).copied()).collect();
        Self { ids, above }
    }

    /// For each circle its tasks, each of which awaits the next one.
    pub(super) fn circles(&self) -> Vec<Vec<TaskId>> {
        let circles = self.circles_of_places().into_iter();
        circles.map(|circle| circle.into_iter().map(|place| self.ids[place]).collect()).collect()
    }

    fn circles_of_places(&self) -> Vec<Vec<usize>> {
        let mut marks = vec![Mark::New; self.above.len()];
        let mut circles = Vec::new();
        for walk in 0..self.above.len() {
            let mut place = walk;
            while marks[place] == Mark::New {
                marks[place] = Mark::Seen(walk);
                match self.above[place] {
                    Some(above) => place = above,
                    None => break,
                }
            }
            // Back at a task of this walk, by way of those above it.
            if marks[place] == Mark::Seen(walk) && self.above[place].is_some() {
                circles.extend(self.circle_at(place));
            }
        }
        circles
    }

    /// The circle that `place` is in.
    fn circle_at(&self, place: usize) -> Option<Vec<usize>> {
        let mut circle = vec![place];
        let mut at = self.above[place]?;
        while at != place {
            circle.push(at);
            at = self.above[at]?;
        }
        // Upwards is from the awaited to who awaits it.
        circle.reverse();
        Some(circle)
    }

    /// All places and their depths, each after the one that awaits it. Those that nobody awaits, and
    /// one of each circle, are in the order of `rank`.
    pub(super) fn in_order<R: Ord>(&self, rank: impl Fn(usize) -> R) -> Vec<(usize, usize)> {
        let mut below = vec![Vec::new(); self.above.len()];
        let mut tops = Vec::new();
        let circles = self.circles_of_places();
        let cut: HashSet<_> = circles.iter().map(|circle| circle[0]).collect();
        for (place, above) in self.above.iter().enumerate() {
            match above {
                Some(above) if !cut.contains(&place) => below[*above].push(place),
                _ => tops.push(place),
            }
        }
        tops.sort_by_cached_key(|place| rank(*place));
        let mut order = Vec::new();
        let mut stack: Vec<_> = tops.into_iter().rev().map(|top| (top, 0)).collect();
        while let Some((place, depth)) = stack.pop() {
            order.push((place, depth));
            stack.extend(below[place].iter().rev().map(|below| (*below, depth + 1)));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forest(above: &[Option<usize>]) -> Forest {
        Forest { ids: Vec::new(), above: above.to_vec() }
    }

    #[test]
    fn each_circle_is_found_once_whatever_hangs_on_it() {
        // 0 → 1 → 2 → 0, with 3 and 4 below 1; 5 awaits itself; 6 and 7 are free.
        let above = [Some(1), Some(2), Some(0), Some(1), Some(3), Some(5), None, Some(6)];
        let circles = forest(&above).circles_of_places();
        assert_eq!(circles.len(), 2, "{circles:?}");
        assert_eq!(circles[1], [5]);
        let circle = &circles[0];
        for (at, next) in circle.iter().zip(circle.iter().cycle().skip(1)) {
            assert_eq!(above[*next], Some(*at), "{at} awaits {next}");
        }
    }

    #[test]
    fn every_task_is_listed_once_after_the_one_that_awaits_it() {
        let above = [Some(1), Some(2), Some(0), Some(1), Some(3), Some(5), None, Some(6)];
        let order = forest(&above).in_order(|place| place);
        let mut places: Vec<_> = order.iter().map(|(place, _)| *place).collect();
        for (index, (place, depth)) in order.iter().enumerate() {
            if *depth > 0 {
                let above = above[*place].expect("it is below one");
                assert!(places[..index].contains(&above), "{above} comes before {place}");
            }
        }
        places.sort_unstable();
        assert_eq!(places, (0..above.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let count = 200_000;
        let chain: Vec<_> =
            (0..count).map(|place| Some(place + 1).filter(|n| *n < count)).collect();
        assert_eq!(forest(&chain).in_order(|place| place).len(), count);
        assert!(forest(&chain).circles_of_places().is_empty());
    }
}
