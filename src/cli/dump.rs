//! Dumps: PostgreSQL's own tools, driven so that a restore takes effect as a whole or not at all.

use crate::{
    private::find_program,
    store::{
        Options,
        restores::{
            Restore,
            dump::{Around, Place, around, look},
        },
    },
};
use anyhow::{Context, bail};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};
use url::{Url, form_urlencoded};

/// Writes a dump of the schema into a new file, which has its name once it is whole.
pub(super) async fn back_up(options: &Options, file: &Path) -> anyhow::Result<()> {
    if file.symlink_metadata().is_ok() {
        bail!("{} is there already, and nothing is written over: name another file", file.display());
    }
    let Some(Place { schema: Some(schema), .. }) = look(options).await? else {
        bail!("store.url leads to no schema that is there: look at its search_path");
    };
    let partial = PathBuf::from(format!("{}.partial", file.display()));
    let mut dump = tool(
        "pg_dump",
        options,
        &format!(
            "pg_dump --format=custom --schema={schema} --file={} \"$DUNLIN_STORE__URL\"",
            file.display()
        ),
    )?;
    dump.args(["--format=custom", "--no-password"]).arg(format!("--schema=\"{schema}\""));
    dump.arg("--file").arg(&partial);
    succeed(dump, "pg_dump").await?;
    if !tables_of(&partial).await?.iter().any(|table| *table == format!("{schema} payments")) {
        bail!("the dump of schema {schema} has no payments: look at store.url");
    }
    File::open(&partial)?.sync_all()?;
    fs::hard_link(&partial, file).with_context(|| format!("{} cannot be made", file.display()))?;
    fs::remove_file(&partial)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(folder)?.sync_all()?)
}

/// Puts a dump in the place of the schema, which is kept under another name; says under which.
pub(super) async fn restore(
    options: &Options,
    file: &Path,
    restore: &Restore,
) -> anyhow::Result<Option<String>> {
    let by_hand = "see docs/operations.md for how to do it by hand";
    let mut psql = tool("psql", options, by_hand)?;
    let tables = tables_of(file).await?;
    let schemas: Vec<_> = tables.iter().filter_map(|table| table.strip_suffix(" payments")).collect();
    let [schema] = schemas[..] else {
        bail!("{} is no dump of one dunlin: make one with `dunlin backup`", file.display());
    };
    if !tables.contains(&format!("{schema} restores")) {
        bail!(
            "{} is of a version that cannot say that it was restored: restore it with pg_restore, run `dunlin migrate`, \
             and `dunlin restore --hold` before any server starts",
            file.display()
        );
    }
    let place = look(options).await?.context("it is no PostgreSQL")?;
    if place.servers > 0 {
        bail!("{} connections of dunlin are open: stop every server over this database first", place.servers);
    }
    if let Some(other) = place.schema.as_deref().filter(|other| *other != schema) {
        bail!(
            "the dump is of the schema {schema}, but store.url leads to {other}: name {schema} in its search_path"
        );
    }
    let stamp = restore.at.format("%Y%m%dt%H%M%Sz").to_string();
    let around = around(schema, &place, &stamp, restore);
    psql.args(["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"]);
    psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let psql = psql.kill_on_drop(true).spawn().context("psql cannot be started")?;
    feed(psql, file, &around).await?;
    Ok(around.aside)
}

/// Gives psql the dump and what stands around it. Whatever fails, the COMMIT at the end does not reach it.
async fn feed(mut psql: Child, file: &Path, around: &Around) -> anyhow::Result<()> {
    let mut dump = Command::new(program("pg_restore", "")?);
    dump.args(["--no-owner", "--file=-"]).arg(file);
    let dump = dump.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let mut dump = dump.context("pg_restore cannot be started")?;
    let (mut to, mut from) = (
        psql.stdin.take().context("psql has an input")?,
        dump.stdout.take().context("pg_restore has an output")?,
    );
    let fed = async {
        to.write_all(around.before.as_bytes()).await?;
        tokio::io::copy(&mut from, &mut to).await?;
        let dumped = dump.wait_with_output().await?;
        if !dumped.status.success() {
            bail!("pg_restore failed, and nothing was changed: {}", String::from_utf8_lossy(&dumped.stderr));
        }
        to.write_all(around.after.as_bytes()).await?;
        anyhow::Ok(())
    };
    let fed = fed.await;
    drop(to);
    let ended = psql.wait_with_output().await?;
    if !ended.status.success() {
        bail!("psql failed, and nothing was changed: {}", String::from_utf8_lossy(&ended.stderr).trim());
    }
    fed
}

/// The tables of a dump, each as its schema and its name.
async fn tables_of(file: &Path) -> anyhow::Result<Vec<String>> {
    let mut list = Command::new(program("pg_restore", "")?);
    list.arg("--list").arg(file);
    let listed = succeed(list, "pg_restore").await?;
    // 215; 1259 16386 TABLE public payments postgres
    let table = |line: &str| {
        let mut words = line.split(' ').skip_while(|word| *word != "TABLE").skip(1);
        let (schema, name, owner) = (words.next()?, words.next()?, words.next()?);
        (schema != "DATA" && !owner.is_empty()).then(|| format!("{schema} {name}"))
    };
    Ok(listed.lines().filter_map(table).collect())
}

async fn succeed(mut command: Command, name: &str) -> anyhow::Result<String> {
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let ended = ended.with_context(|| format!("{name} cannot be started"))?;
    if !ended.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&ended.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// A tool that connects to the database. The password goes by a variable, as a command line is seen by others.
fn tool(name: &str, options: &Options, by_hand: &str) -> anyhow::Result<Command> {
    let mut url = Url::parse(&options.url).context("store.url is no URL")?;
    let mut command = Command::new(program(name, by_hand)?);
    if let Some(password) = url.password() {
        // The one decoder at hand takes a plus for a space.
        let pair = format!("p={}", password.replace('+', "%2B"));
        let decoded = form_urlencoded::parse(pair.as_bytes()).next();
        command.env("PGPASSWORD", decoded.context("the password of store.url")?.1.as_ref());
    }
    let _ = url.set_password(None);
    command.env("PGAPPNAME", "dunlin, a command").arg("--dbname").arg(url.as_str());
    Ok(command)
}

fn program(name: &str, by_hand: &str) -> anyhow::Result<PathBuf> {
    find_program(name).with_context(|| {
        let by_hand = if by_hand.is_empty() { String::new() } else { format!("; by hand: {by_hand}") };
        format!(
            "{name} is missing: install PostgreSQL's client programs (Debian, Ubuntu: apt-get install \
             postgresql-client), of the server's version or newer{by_hand}"
        )
    })
}
