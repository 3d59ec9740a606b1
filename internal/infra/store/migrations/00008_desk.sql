-- +goose Up
-- What people take upon themselves: exceptions they answer for, and tasks that
-- no agent can do.

-- Leaves a patch (scope), a device or a group out on purpose, never without an
-- end. ended_us is 0 until its end is in the register.
CREATE TABLE exception (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  device     TEXT NOT NULL,
  group_name TEXT NOT NULL,
  scope      TEXT NOT NULL,
  patch      TEXT NOT NULL, -- the id that was named, when one was
  owner      TEXT NOT NULL,
  reason     TEXT NOT NULL,
  control    TEXT NOT NULL, -- what protects meanwhile
  from_us    BIGINT NOT NULL,
  until_us   BIGINT NOT NULL,
  remind_us  BIGINT NOT NULL, -- from when on its end is announced
  actor      TEXT NOT NULL,
  ended_us   BIGINT NOT NULL DEFAULT 0,
  ended_by   TEXT NOT NULL DEFAULT '',
  ended_why  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX exception_open ON exception (tenant, until_us, id) WHERE ended_us = 0;
CREATE INDEX exception_ended ON exception (tenant, ended_us, id) WHERE ended_us > 0;
CREATE INDEX exception_device ON exception (tenant, device, until_us);

-- A task is open while closed_us is 0. What follows from its dates is worked
-- out by core/task and kept beside them: escalate_us, and the next reminder.
CREATE TABLE task (
  tenant         TEXT NOT NULL,
  id             TEXT NOT NULL,
  title          TEXT NOT NULL,
  what           TEXT NOT NULL,
  device         TEXT NOT NULL,
  campaign       TEXT NOT NULL,
  ring           TEXT NOT NULL,
  patch          TEXT NOT NULL,
  owner          TEXT NOT NULL,
  escalate_to    TEXT NOT NULL,
  escalate_after BIGINT NOT NULL,
  proof          TEXT NOT NULL, -- the kind that is asked for; empty: any
  due_us         BIGINT NOT NULL,
  created_us     BIGINT NOT NULL,
  opened_us      BIGINT NOT NULL, -- created, or opened again
  actor          TEXT NOT NULL,
  reminded       BIGINT NOT NULL DEFAULT 0, -- reminders that are in the register
  remind_us      BIGINT NOT NULL, -- the next one
  escalate_us    BIGINT NOT NULL, -- 9223372036854775807: never
  closed_us      BIGINT NOT NULL DEFAULT 0,
  closed_by      TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX task_open ON task (tenant, due_us, id) WHERE closed_us = 0;
CREATE INDEX task_closed ON task (tenant, closed_us, id) WHERE closed_us > 0;
CREATE INDEX task_device ON task (tenant, device, due_us, id);
CREATE INDEX task_campaign ON task (tenant, campaign, ring, closed_us);
CREATE INDEX task_remind ON task (tenant, remind_us) WHERE closed_us = 0;

-- What was shown when a task was closed; it stays when the task is reopened.
CREATE TABLE task_proof (
  tenant    TEXT NOT NULL,
  id        TEXT NOT NULL,
  task      TEXT NOT NULL,
  kind      TEXT NOT NULL,
  text      TEXT NOT NULL, -- the text, the command, or when the scan was made
  output    TEXT NOT NULL, -- of the command
  file_name TEXT NOT NULL,
  sha256    TEXT NOT NULL, -- of the file
  size      BIGINT NOT NULL,
  actor     TEXT NOT NULL,
  at_us     BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX task_proof_task ON task_proof (tenant, task, at_us, id);
CREATE TABLE proof_file (
  tenant TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  body   BYTEA NOT NULL,
  PRIMARY KEY (tenant, sha256)
);

-- +goose Down
DROP TABLE proof_file;
DROP TABLE task_proof;
DROP TABLE task;
DROP TABLE exception;
