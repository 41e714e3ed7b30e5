//! Backups of the SQLite file, made beside the server that has it. On PostgreSQL its own tools make them.

use super::{
    Db, StoreError,
    direct::Direct,
    open::Options,
    restores::{
        RestoreError,
        file::{sync_folder, with},
    },
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Writes the database, as one commit left it, into a new file, and says how many payments it has. The file has its name
/// once it is whole and on the disk.
pub async fn back_up(options: &Options, to: &Path) -> Result<i64, RestoreError> {
    let at = |source: io::Error| RestoreError::File { path: to.to_owned(), source };
    if to.symlink_metadata().is_ok() {
        return Err(RestoreError::Exists(to.to_owned()));
    }
    let partial = with(to, ".partial");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
        Ok(()) | Err(_) => {}
    }
    let mut direct = Direct::connect(options).await?;
    let Db::Sqlite(connection) = &mut direct.connection else {
        return Err(RestoreError::NotOurs { path: to.to_owned() });
    };
    let name = partial.display().to_string();
    let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(&mut *connection).await;
    copied.map_err(StoreError::from)?;
    // It tells as much as the database does.
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o600)).map_err(at)?;
    let file = File::open(&partial).map_err(at)?;
    file.sync_all().map_err(at)?;
    let payments = count(&partial).await.map_err(StoreError::from)?;
    // Never over another: a link fails where the name was taken meanwhile.
    match fs::hard_link(&partial, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(RestoreError::Exists(to.to_owned()));
        }
        Ok(()) => fs::remove_file(&partial).map_err(at)?,
        // Not every file system has links.
        Err(_) => fs::rename(&partial, to).map_err(at)?,
    }
    sync_folder(to).map_err(at)?;
    Ok(payments)
}

async fn count(file: &Path) -> Result<i64, sqlx::Error> {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let connect = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = connect.connect().await?;
    let found = sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}
