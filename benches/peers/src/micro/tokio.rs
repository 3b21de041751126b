//! tokio's `current_thread` runtime.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task;

use super::Contender;

pub struct CurrentThread(Runtime);

impl Contender for CurrentThread {
    const NAME: &'static str = "tokio";

    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        Self(runtime.expect("a runtime needs two descriptors"))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<F>(&self, future: F) -> impl Future<Output = F::Output> + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = self.0.spawn(future);
        async { task.await.expect("the tasks here do not panic") }
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        task::yield_now()
    }

    fn sleep(timeout: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(timeout)
    }
}
