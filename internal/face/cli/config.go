package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// config is what a login keeps.
type config struct {
	Server string `json:"server"`
	CA     string `json:"ca,omitempty"` // PEM of the site's own CA
	User   string `json:"user"`
	Token  string `json:"token"`
}

func (c *cli) configPath() (string, error) {
	if path := c.Env("PATCHRING_CONFIG"); path != "" {
		return path, nil
	}
	dir := c.Env("XDG_CONFIG_HOME")
	if dir == "" {
		home := c.Env("HOME")
		if home == "" {
			var err error
			if dir, err = os.UserConfigDir(); err != nil {
				return "", fmt.Errorf("find the configuration: %w", err)
			}
			return filepath.Join(dir, "patchring", "config.json"), nil
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "patchring", "config.json"), nil
}

// loadConfig reads the last login; none is an empty one.
func (c *cli) loadConfig() (config, error) {
	path, err := c.configPath()
	if err != nil {
		return config{}, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	}
	if err != nil {
		return config{}, fmt.Errorf("read the last login: %w", err)
	}
	var conf config
	if err := json.Unmarshal(text, &conf); err != nil {
		return config{}, fmt.Errorf("read the last login in %s: %w", path, err)
	}
	return conf, nil
}

// saveConfig keeps a login where only its owner reads it. Dying before the
// rename leaves the one before.
func (c *cli) saveConfig(conf config) (string, error) {
	path, err := c.configPath()
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(conf, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep the login: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".config-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("keep the login: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("keep the login: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return path, nil
}

func readFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return string(text), nil
}
