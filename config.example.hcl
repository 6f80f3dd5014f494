# Which storages trackio knows. Without a configuration it works on the local
# Trackio directory, so this file is needed only for more than that.
#
# It is looked for in this order: --config FILE, TRACKIO_CONFIG, then
# trackio/config.hcl in your configuration directory (~/.config on Linux);
# never in the current directory, since it can name programs to run.
# `trackio config check` reads it, `trackio backends` shows what it means.

# The backend of commands that do not say --backend NAME or TRACKIO_BACKEND.
default = "local"

# backend "TYPE" "NAME". "sqlite" is built in: the directory that Python Trackio
# reads and writes. "~" is your home; other relative paths are relative to this
# file.
backend "sqlite" "local" {
  dir = "~/.cache/huggingface/trackio"
}

# Its media may lie in a bucket: s3://, gs://, azblob://, file://, or a path. The
# databases stay in the directory, and so do media that Python has written there.
#
# backend "sqlite" "shared-media" {
#   dir   = "/data/trackio"
#   media = "s3://ml-media?region=eu-west-1&prefix=trackio/"
# }

# "s3" is built in too: everything in a bucket, with nothing beside it, for any
# number of machines at once: s3:// and what speaks its language, gs://,
# azblob://, file://. Credentials come from where the cloud's own tools have them:
# variables, profiles, single sign-on, the machine's role.
#
# backend "s3" "team" {
#   bucket = "s3://ml-runs?region=eu-west-1&prefix=trackio/"
# }
# backend "s3" "lab" {
#   bucket     = "s3://runs"
#   endpoint   = "https://minio.lab.example:9000"
#   path_style = true
#   profile    = "lab"
# }

# Any other type is a program of its own. Without `plugin` it is looked for as
# trackio-backend-TYPE in TRACKIO_PLUGIN_PATH, in your plugin directory and on
# PATH. All attributes that are not named below are the backend's own.
#
# backend "postgres" "lab" {
#   plugin  = "/opt/trackio/trackio-backend-postgres"
#   sha256  = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" # refuse any other file
#   env     = ["PGSSLMODE"] # variables that it sees besides the usual ones
#   mtls    = true          # encrypt the connection to it; the default
#   disable = ["move"]      # do without this capability
#
#   dsn = env("LAB_DSN")    # a secret stays out of this file
# }
