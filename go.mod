module github.com/wyemq/wye

go 1.26
