//! What tests stand on: a fresh database of either kind, Redis, a sandbox, and the service over them.

pub(crate) mod altered;
pub(crate) mod dashboard;
pub(crate) mod database;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod replicas;
pub(crate) mod webhooks;
pub(crate) mod world;

/// Makes one test of a function for each database.
macro_rules! both {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::support::database::Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name($crate::support::database::Database::postgres().await).await;
            }
        }
    )*};
}
pub(crate) use both;
