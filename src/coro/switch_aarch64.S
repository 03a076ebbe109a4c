// AAPCS64. See switch.h.

    .text

    .globl  coro_swap
    .hidden coro_swap
    .type   coro_swap, %function
    .p2align 4
coro_swap:
    .cfi_startproc
    hint    #34 // bti c
    sub     sp, sp, #160
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #160
    // Not ret: the processor predicts a ret by its calls, and this one comes from another stack. x17,
    // so that it may land on a "bti c".
    mov     x17, x30
    br      x17
    .cfi_endproc
    .size   coro_swap, . - coro_swap

// Where a new coroutine begins: x19 is entry, x20 its argument.
    .type   begin, %function
begin:
    .cfi_startproc
    .cfi_undefined x30 // the outermost frame: debuggers stop here
    hint    #36 // bti j
    mov     x29, #0
    mov     x30, #0
    mov     x0, x20
    blr     x19
    brk     #1
    .cfi_endproc
    .size   begin, . - begin

    .globl  coro_prepare
    .hidden coro_prepare
    .type   coro_prepare, %function
    .p2align 4
coro_prepare:
    .cfi_startproc
    hint    #34
    sub     x0, x0, #160
    stp     x1, x2, [x0, #0]
    adr     x9, begin
    stp     xzr, x9, [x0, #80]
    ret
    .cfi_endproc
    .size   coro_prepare, . - coro_prepare

    .section .note.GNU-stack, "", %progbits
