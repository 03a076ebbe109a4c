// AAPCS64. See switch.h.
//
// A parked stack, from where its pointer points (in bytes):
//
//     0 x19..x28   80 x29   88 x30, where it goes on   96 d8..d15   160

#define FRAME 160

    .text

    .globl  coro_swap
    .hidden coro_swap
    .type   coro_swap, %function
    .p2align 4
coro_swap:
    .cfi_startproc
    hint    #34 // bti c
    sub     sp, sp, #FRAME
    .cfi_adjust_cfa_offset FRAME
    stp     x19, x20, [sp, #0]
    .cfi_rel_offset x19, 0
    .cfi_rel_offset x20, 8
    stp     x21, x22, [sp, #16]
    .cfi_rel_offset x21, 16
    .cfi_rel_offset x22, 24
    stp     x23, x24, [sp, #32]
    .cfi_rel_offset x23, 32
    .cfi_rel_offset x24, 40
    stp     x25, x26, [sp, #48]
    .cfi_rel_offset x25, 48
    .cfi_rel_offset x26, 56
    stp     x27, x28, [sp, #64]
    .cfi_rel_offset x27, 64
    .cfi_rel_offset x28, 72
    stp     x29, x30, [sp, #80]
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1 // the other stack looks the same to unwinders
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
    add     sp, sp, #FRAME
    .cfi_def_cfa_offset 0
    .cfi_same_value x19
    .cfi_same_value x20
    .cfi_same_value x21
    .cfi_same_value x22
    .cfi_same_value x23
    .cfi_same_value x24
    .cfi_same_value x25
    .cfi_same_value x26
    .cfi_same_value x27
    .cfi_same_value x28
    .cfi_same_value x29
    .cfi_same_value x30
    ret
    .cfi_endproc
    .size   coro_swap, . - coro_swap

// Where a new coroutine begins: x19 is entry, x20 its argument.
    .type   begin, %function
begin:
    .cfi_startproc
    .cfi_undefined x30 // the outermost frame: debuggers and unwinders stop here
    hint    #36        // bti j
    mov     x29, #0    // and those that follow frame pointers
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
    hint    #34 // bti c
    sub     x0, x0, #FRAME
    stp     x1, x2, [x0, #0] // x19, x20
    adr     x9, begin
    stp     xzr, x9, [x0, #80] // x29, x30; the others may be what they like
    ret
    .cfi_endproc
    .size   coro_prepare, . - coro_prepare

    .section .note.GNU-stack, "", %progbits

// Indirect branches may be checked (BTI).
    .section .note.gnu.property, "a", %note
    .p2align 3
    .long   4, 16, 5 // sizes of name and contents; NT_GNU_PROPERTY_TYPE_0
    .asciz  "GNU"
    .long   0xc0000000, 4, 1, 0 // GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI
