package faults

// modePlants are faults that the failure modes' tests must see.
var modePlants = []plant{}
