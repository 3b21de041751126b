//! smol's parts on one thread: async-executor's `LocalExecutor`, and async-io's timers.

use std::time::Duration;

use async_executor::LocalExecutor;
use async_io::Timer;
use futures_lite::future;

use super::Contender;

pub struct Local(LocalExecutor<'static>);

impl Contender for Local {
    const NAME: &'static str = "async-executor, async-io";

    fn new() -> Self {
        Self(LocalExecutor::new())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_io::block_on(self.0.run(future))
    }

    fn spawn<F>(&self, future: F) -> impl Future<Output = F::Output> + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }

    async fn sleep(timeout: Duration) {
        Timer::after(timeout).await;
    }
}
