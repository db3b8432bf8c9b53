//! Whether there is an order of requests that explains a history.

use std::cell::Cell;
use std::rc::Rc;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::Action;
use todc_utils::specifications::Specification;

use super::history::{Contents, History, Operation, Request, Stretch};
use super::model::State;

/// Steps of the search for one stretch's order: far more than any has needed.
const STEPS: u64 = 3_000_000;

/// What the judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Linearizable,
    /// There is none, and this is where; or the server failed its clients.
    Broken(String),
    /// The search would take too long: no verdict.
    Undecided,
}

/// Judges by the model. The verdict, and the most steps that the search took for one of its stretches.
pub fn judge(history: &History) -> (Verdict, u64) {
    let mut longest = 0;
    let verdict = judge_by::<Model>(history, &mut longest);
    (verdict, longest)
}

/// What the checker calls an operation.
#[derive(Clone, Debug)]
pub enum Step {
    /// A stretch begins with this.
    Begin(Contents),
    /// A request, and its reply if one came.
    Ask(u16, Request, Option<String>),
    /// All that is there.
    Look(Contents),
}

/// A server that does one request after the other.
struct Model;

impl Specification for Model {
    type State = State;
    type Operation = Rc<Step>;

    fn init() -> State {
        State::default()
    }

    fn apply(step: &Rc<Step>, state: &State) -> (bool, State) {
        let left = STEPS_LEFT.get();
        if left == 0 {
            return (false, State::default());
        }
        STEPS_LEFT.set(left - 1);
        match &**step {
            Step::Begin(contents) => (true, State::of(contents)),
            Step::Look(contents) => (state.holds(contents), state.clone()),
            Step::Ask(client, request, reply) => {
                let mut next = state.clone();
                let answer = next.run(*client, request);
                (reply.as_ref().is_none_or(|reply| *reply == answer), next)
            }
        }
    }
}

thread_local! {
    /// The checker has no limit of its own: without steps left nothing can be next, and the search ends.
    static STEPS_LEFT: Cell<u64> = const { Cell::new(0) };
}

fn judge_by<S: Specification<Operation = Rc<Step>>>(history: &History, longest: &mut u64) -> Verdict {
    if let Some(fault) = &history.fault {
        return Verdict::Broken(fault.clone());
    }
    let nothing = Contents::new();
    let mut begin = &nothing;
    for (number, stretch) in history.stretches.iter().enumerate() {
        let events = Events::of(stretch, begin);
        let is_linearizable = events.is_linearizable::<S>(events.count());
        *longest = (*longest).max(STEPS - STEPS_LEFT.get());
        if STEPS_LEFT.get() == 0 {
            return Verdict::Undecided;
        }
        if !is_linearizable {
            let what = events.first_unexplained::<S>(stretch);
            return Verdict::Broken(format!("stretch {number}: no order explains {what}"));
        }
        begin = &stretch.look;
    }
    Verdict::Linearizable
}

/// A stretch as the checker wants it.
struct Events {
    begin: Rc<Step>,
    steps: Vec<Rc<Step>>,
    look: Rc<Step>,
    /// Invocations and returns of the steps, in the order of time.
    order: Vec<(u64, Edge, usize)>,
}

/// Two at the same moment may have been at once: invocations come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Invoked,
    Returned,
}

impl Events {
    fn of(stretch: &Stretch, begin: &Contents) -> Self {
        let (mut steps, mut order) = (Vec::new(), Vec::new());
        for (index, operation) in stretch.operations.iter().enumerate() {
            let Operation { client, invoked_ns, request, answer } = operation;
            order.push((*invoked_ns, Edge::Invoked, index));
            order.extend(answer.iter().map(|answer| (answer.returned_ns, Edge::Returned, index)));
            let reply = answer.as_ref().map(|answer| answer.reply.clone());
            steps.push(Rc::new(Step::Ask(*client, request.clone(), reply)));
        }
        order.sort_unstable();
        let (begin, look) = (Rc::new(Step::Begin(begin.clone())), Rc::new(Step::Look(stretch.look.clone())));
        Self { begin, steps, look, order }
    }

    /// Invocations, returns, and the look.
    fn count(&self) -> usize {
        self.order.len() + 1
    }

    /// Whether so many of the first events have an order.
    fn is_linearizable<S: Specification<Operation = Rc<Step>>>(&self, count: usize) -> bool {
        let alone = |process: usize, step: &Rc<Step>| {
            [Action::Call(step.clone()), Action::Response(step.clone())].map(|action| (process, action))
        };
        let mut actions = alone(self.steps.len(), &self.begin).to_vec();
        let mut open = vec![false; self.steps.len()];
        for &(_, edge, index) in self.order.iter().take(count) {
            open[index] = edge == Edge::Invoked;
            let step = self.steps[index].clone();
            actions.push((index, if open[index] { Action::Call(step) } else { Action::Response(step) }));
        }
        if count == self.count() {
            actions.extend(alone(self.steps.len(), &self.look));
        }
        // What has no answer may come behind everything, where nobody sees it: then it never happened.
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| open[*index]) {
            let unanswered = match &**step {
                Step::Ask(client, request, _) => Rc::new(Step::Ask(*client, request.clone(), None)),
                _ => step.clone(),
            };
            actions.push((index, Action::Response(unanswered)));
        }
        STEPS_LEFT.set(STEPS);
        WGLChecker::<S>::is_linearizable(todc_utils::History::from_actions(actions))
    }

    /// The answer with which a broken stretch ceases to have an order: what begins like it has none either.
    fn first_unexplained<S: Specification<Operation = Rc<Step>>>(&self, stretch: &Stretch) -> String {
        let counts: Vec<usize> = (1..=self.count()).collect();
        let explained = counts.partition_point(|&count| self.is_linearizable::<S>(count));
        match self.order.get(explained) {
            Some(&(_, _, index)) => format!("{:?}", stretch.operations[index]),
            None => format!("what was there afterwards: {:?}", stretch.look),
        }
    }
}

#[cfg(test)]
mod tests;
