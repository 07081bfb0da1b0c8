// Package configs holds the shipped configuration: wye.yaml documents every key with its default, and
// dev.yaml is what `make run` uses. The program describes keys by the comments of wye.yaml.
//
// It reads nothing: that is the business of core/config.
package configs

import _ "embed"

//go:embed wye.yaml
var reference string

// Reference returns wye.yaml.
func Reference() string { return reference }
