//! A Chromium without a screen.
//!
//! Invariant: what is looked for is waited for. Limit: one window.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long something may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// Ended with the test, and its driver with it.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    base: String,
    _process: Child,
}

impl Browser {
    /// Opens one that sees the dashboard at this address. Without scripts, if those are not wanted.
    pub(crate) async fn open(base: &str, scripts: bool) -> Result<Self> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("no chromedriver: scripts/browser installs it")?;
        let mut lines = BufReader::new(process.stdout.take().context("stdout")?).lines();
        let port = loop {
            let line = lines.next_line().await?.context("chromedriver has ended")?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse::<u16>()?;
            }
        };
        // It must be able to go on talking.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
            "--lang=en",
        ] {
            wanted.add_arg(argument)?;
        }
        if !scripts {
            wanted.add_experimental_option(
                "prefs",
                json!({ "profile.managed_default_content_settings.javascript": 2 }),
            )?;
        }
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wanted).await?;
        Ok(Self { driver, base: base.to_owned(), _process: process })
    }

    /// Goes to a page of the dashboard.
    pub(crate) async fn go(&self, page: &str) -> Result<()> {
        Ok(self.driver.goto(format!("{}{page}", self.base)).await?)
    }

    /// Where it is, below the address of the dashboard.
    pub(crate) async fn here(&self) -> Result<String> {
        let url = self.driver.current_url().await?.to_string();
        ensure!(url.starts_with(&self.base), "{url} is not below {}", self.base);
        Ok(url[self.base.len()..].to_owned())
    }

    /// The first that fits.
    pub(crate) async fn see(&self, selector: &str) -> Result<WebElement> {
        let query = self.driver.query(By::Css(selector)).wait(PATIENCE, LOOK);
        query.first().await.with_context(|| format!("there is no {selector}"))
    }

    pub(crate) async fn click(&self, selector: &str) -> Result<()> {
        self.click_on(By::Css(selector)).await.with_context(|| format!("there is no {selector}"))
    }

    /// A button or a link that says this.
    pub(crate) async fn press(&self, text: &str) -> Result<()> {
        let path = format!("//main//*[self::button or self::a or self::summary][normalize-space()='{text}']");
        self.click_on(By::XPath(path)).await.with_context(|| format!("nothing says {text}"))
    }

    /// A page that changes by itself may take away what was just found: then it is looked for again.
    async fn click_on(&self, what: By) -> Result<()> {
        let start = Instant::now();
        loop {
            let found = self.driver.query(what.clone()).wait(PATIENCE, LOOK).first().await?;
            match found.click().await {
                Ok(()) => return Ok(()),
                Err(error) if start.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    pub(crate) async fn write(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.see(selector).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    /// Presses these keys wherever the focus is.
    pub(crate) async fn keys(&self, keys: &str) -> Result<()> {
        Ok(self.driver.action_chain().send_keys(keys).perform().await?)
    }

    /// All that can be read.
    pub(crate) async fn text(&self) -> Result<String> {
        Ok(self.see("body").await?.text().await?)
    }

    /// Waits until this can be read.
    pub(crate) async fn read(&self, wanted: &str) -> Result<()> {
        let reading = async {
            loop {
                // A page that is just being replaced has no text.
                if self.text().await.is_ok_and(|text| text.contains(wanted)) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reading).await.is_err() {
            anyhow::bail!("{wanted:?} is not to be read at {}: {}", self.here().await?, self.text().await?);
        }
        Ok(())
    }

    /// What an expression of JavaScript gives.
    pub(crate) async fn value(&self, expression: &str) -> Result<serde_json::Value> {
        Ok(self.driver.execute(format!("return {expression}"), Vec::new()).await?.json().clone())
    }

    /// As somebody sees it who likes it so.
    pub(crate) async fn prefer(&self, scheme: &str) -> Result<()> {
        let wish = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.driver.cdp().send_raw("Emulation.setEmulatedMedia", wish).await?;
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.driver.quit().await?)
    }
}
