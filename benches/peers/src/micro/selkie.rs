//! selkie's runtime.

use std::time::Duration;

use selkie::Runtime;

use super::Contender;

pub struct OneThread(Runtime);

impl Contender for OneThread {
    const NAME: &'static str = "selkie";

    fn new() -> Self {
        Self(Runtime::new().expect("there are descriptors to spare"))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<F>(&self, future: F) -> impl Future<Output = F::Output> + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        selkie::yield_now()
    }

    async fn sleep(timeout: Duration) {
        selkie::sleep(timeout).await;
    }
}
